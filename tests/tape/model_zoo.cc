#include "tests/tape/model_zoo.h"

#include <utility>

#include "tests/tape/zoo_making.h"

namespace remat::testing {
namespace {

class MadeOfParts : public ZooStep {
 public:
  explicit MadeOfParts(ZooParts parts) : parts_(std::move(parts)) {}
  std::vector<at::Tensor> parameters() const override { return parts_.parameters; }
  std::vector<at::Tensor> buffers() const override { return parts_.buffers; }
  at::Tensor loss(int step) override { return parts_.loss(step); }

 private:
  ZooParts parts_;
};

void append(std::vector<ZooModel>& models, std::vector<ZooModel> more) {
  for (auto& model : more) models.push_back(std::move(model));
}

}  // namespace

ZooModel zoo_model(std::string name, std::function<ZooParts()> make) {
  ZooModel model;
  model.name = std::move(name);
  model.make = [make = std::move(make)] {
    torch::manual_seed(17);
    return std::make_unique<MadeOfParts>(make());
  };
  return model;
}

ZooModel operator_mix(std::string name, MixLoss loss) {
  return zoo_model(std::move(name), [loss = std::move(loss)]() -> ZooParts {
    const auto w = weight({16, 16});
    const auto x = normal({8, 16});
    return {{w}, [=](int step) {
              auto sum = loss(x(step), w);
              for (const double scale : {0.9, 1.1, 1.2}) sum = sum + loss(x(step) * scale, w);
              return sum;
            }};
  });
}

Batches normal(at::IntArrayRef sizes) {
  return Batches({torch::randn(sizes), torch::randn(sizes)});
}

Batches below(std::int64_t n, at::IntArrayRef sizes) {
  return Batches({torch::randint(n, sizes, at::kLong), torch::randint(n, sizes, at::kLong)});
}

at::Tensor weight(at::IntArrayRef sizes) { return (torch::randn(sizes) * 0.3).requires_grad_(); }

const std::vector<ZooModel>& model_zoo() {
  static const std::vector<ZooModel> models = [] {
    std::vector<ZooModel> all = zoo_networks();
    append(all, zoo_recurrent());
    append(all, zoo_layers());
    append(all, zoo_operators());
    append(all, zoo_in_place());
    append(all, zoo_autograd());
    return all;
  }();
  return models;
}

std::ostream& operator<<(std::ostream& out, const ZooModel& model) { return out << model.name; }

}  // namespace remat::testing
