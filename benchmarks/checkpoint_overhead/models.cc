#include "checkpoint_overhead/models.h"

#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

namespace remat::benchmarks {
namespace {

namespace F = torch::nn::functional;
using torch::Tensor;

// Makes the tensors of a model, and collects its parameters.
class Maker {
 public:
  explicit Maker(const at::TensorOptions& kind) : kind_(kind) {}

  Tensor weight(at::IntArrayRef shape) { return keep(torch::randn(shape, kind_) * 0.02); }
  Tensor ones(std::int64_t n) { return keep(torch::ones({n}, kind_)); }
  Tensor zeros(std::int64_t n) { return keep(torch::zeros({n}, kind_)); }
  Tensor input(at::IntArrayRef shape) const { return torch::randn(shape, kind_).requires_grad_(); }
  Tensor classes(std::int64_t classes, std::int64_t count) const {
    return torch::randint(classes, {count}, kind_.dtype(at::kLong));
  }
  Tensor constant(const Tensor& tensor) const { return tensor.to(kind_); }
  std::vector<Tensor> parameters;

 private:
  Tensor keep(const Tensor& tensor) {
    return parameters.emplace_back(tensor.clone().requires_grad_());
  }

  at::TensorOptions kind_;
};

struct Sizes {
  std::int64_t layers, width, heads, tokens, batch;
};

constexpr std::int64_t kVocabulary = 256;

Tensor causal_mask(std::int64_t tokens) { return torch::full({tokens, tokens}, -1e9F).triu(1); }

// Statements end where Python lets go of a value: C++ keeps it to the end of the statement.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  const auto scores = q.matmul(k.transpose(-2, -1)) / std::sqrt(double(q.size(-1)));
  const auto weights = (scores + mask).softmax(-1);
  return weights.matmul(v);
}

// (B, T, C) -> (B, H, T, D)
Tensor split_heads(const Tensor& x, std::int64_t heads) {
  return x.view({x.size(0), x.size(1), heads, x.size(2) / heads}).transpose(1, 2);
}

Tensor merge_heads(const Tensor& x) { return x.transpose(1, 2).flatten(2); }

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return torch::layer_norm(x, {x.size(-1)}, weight, bias);
}

Layer gpt_block(Maker& make, const Sizes& sizes, const Tensor& mask) {
  const auto c = sizes.width, heads = sizes.heads;
  const auto w1 = make.ones(c), b1 = make.zeros(c), w2 = make.ones(c), b2 = make.zeros(c);
  const auto qkv = make.weight({3 * c, c}), qkv_bias = make.zeros(3 * c);
  const auto out = make.weight({c, c}), out_bias = make.zeros(c);
  const auto up = make.weight({4 * c, c}), up_bias = make.zeros(4 * c);
  const auto down = make.weight({c, 4 * c}), down_bias = make.zeros(c);
  return [=](const Tensor& x) {
    const auto parts = torch::linear(layer_norm(x, w1, b1), qkv, qkv_bias).chunk(3, -1);
    const auto y = attention(split_heads(parts[0], heads), split_heads(parts[1], heads),
                             split_heads(parts[2], heads), mask);
    const auto z = x + torch::linear(merge_heads(y), out, out_bias);
    const auto hidden = torch::gelu(torch::linear(layer_norm(z, w2, b2), up, up_bias));
    return z + torch::linear(hidden, down, down_bias);
  };
}

Tensor rms_norm(const Tensor& x, const Tensor& weight) {
  const auto variance = x.square().mean(-1, true);
  return x * torch::rsqrt(variance + 1e-5) * weight;
}

Tensor rotate(const Tensor& x, const Tensor& cosine, const Tensor& sine) {
  const auto halves = x.chunk(2, -1);
  const auto straight = x * cosine;
  auto turned = torch::cat({-halves[1], halves[0]}, -1);
  turned = turned * sine;
  return straight + turned;
}

Layer llama_block(Maker& make, const Sizes& sizes, const Tensor& mask, const Tensor& cosine,
                  const Tensor& sine) {
  const auto c = sizes.width, heads = sizes.heads, wide = 8 * c / 3;
  const auto w1 = make.ones(c), w2 = make.ones(c);
  const auto q = make.weight({c, c}), k = make.weight({c, c}), v = make.weight({c, c});
  const auto out = make.weight({c, c});
  const auto gate = make.weight({wide, c}), up = make.weight({wide, c}),
             down = make.weight({c, wide});
  return [=](const Tensor& x) {
    const auto n = rms_norm(x, w1);
    const auto rotated = [&](const Tensor& weight) {
      return rotate(split_heads(torch::linear(n, weight), heads), cosine, sine);
    };
    const auto y = attention(rotated(q), rotated(k), split_heads(torch::linear(n, v), heads), mask);
    const auto z = x + torch::linear(merge_heads(y), out);
    const auto m = rms_norm(z, w2);
    auto hidden = torch::silu(torch::linear(m, gate));
    hidden = hidden * torch::linear(m, up);
    return z + torch::linear(std::exchange(hidden, {}), down);
  };
}

// The input is embedded already: what is measured are the blocks.
Model decoder(Maker make, const Sizes& sizes, bool llama) {
  Model model;
  const auto mask = make.constant(causal_mask(sizes.tokens));
  const auto half = sizes.width / sizes.heads / 2;
  const auto frequency = torch::pow(10000.0, -torch::arange(half) / double(half));
  const auto angle = torch::outer(torch::arange(sizes.tokens), frequency).repeat({1, 2});
  const auto cosine = make.constant(angle.cos()), sine = make.constant(angle.sin());
  for (std::int64_t i = 0; i < sizes.layers; ++i) {
    model.layers.push_back(llama ? llama_block(make, sizes, mask, cosine, sine)
                                 : gpt_block(make, sizes, mask));
  }
  const auto unembed = make.weight({kVocabulary, sizes.width});
  model.head = [unembed](const Tensor& x) { return torch::linear(x, unembed).flatten(0, 1); };
  model.input = make.input({sizes.batch, sizes.tokens, sizes.width});
  model.target = make.classes(kVocabulary, sizes.batch * sizes.tokens);
  model.parameters = make.parameters;
  return model;
}

Layer residual_block(Maker& make, std::int64_t from, std::int64_t to, std::int64_t stride) {
  const auto conv1 = make.weight({to, from, 3, 3}), conv2 = make.weight({to, to, 3, 3});
  const auto w1 = make.ones(to), b1 = make.zeros(to), w2 = make.ones(to), b2 = make.zeros(to);
  const bool same = from == to && stride == 1;
  const auto shortcut = same ? Tensor() : make.weight({to, from, 1, 1});
  const auto norm = [](const Tensor& x, const Tensor& weight, const Tensor& bias) {
    return torch::batch_norm(x, weight, bias, {}, {}, true, 0.1, 1e-5, false);
  };
  return [=](const Tensor& x) {
    const auto y = torch::relu(norm(torch::conv2d(x, conv1, {}, stride, 1), w1, b1));
    const auto z = norm(torch::conv2d(y, conv2, {}, 1, 1), w2, b2);
    return torch::relu(z + (same ? x : torch::conv2d(x, shortcut, {}, stride)));
  };
}

// The blocks of ResNet-18, the first ones `width` channels wide, on square feature maps.
Model resnet(Maker make, std::int64_t width, std::int64_t side, std::int64_t batch) {
  Model model;
  std::int64_t from = width;
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t to = stage == 0 ? from : 2 * from;
    model.layers.push_back(residual_block(make, from, to, from == to ? 1 : 2));
    model.layers.push_back(residual_block(make, to, to, 1));
    from = to;
  }
  const auto classes = make.weight({10, from});
  model.head = [classes](const Tensor& x) { return torch::linear(x.mean({2, 3}), classes); };
  model.input = make.input({batch, width, side, side});
  model.target = make.classes(10, batch);
  model.parameters = make.parameters;
  return model;
}

// Four LSTM layers, (T, B, C), each cell operator by operator.
Model lstm(Maker make, std::int64_t tokens, std::int64_t batch, std::int64_t width) {
  Model model;
  for (int i = 0; i < 4; ++i) {
    const auto w = make.weight({4 * width, width}), u = make.weight({4 * width, width}),
               b = make.zeros(4 * width);
    model.layers.push_back([=](const Tensor& x) {
      auto h = torch::zeros({batch, width}, x.options()),
           c = torch::zeros({batch, width}, x.options());
      std::vector<Tensor> out;
      for (const auto& step : torch::linear(x, w, b).unbind(0)) {
        const auto gates = (step + torch::linear(h, u)).chunk(4, -1);
        c = gates[1].sigmoid() * c + gates[0].sigmoid() * gates[2].tanh();
        h = gates[3].sigmoid() * c.tanh();
        out.push_back(h);
      }
      return torch::stack(out);
    });
  }
  const auto classes = make.weight({kVocabulary, width});
  model.head = [classes](const Tensor& x) { return torch::linear(x, classes).flatten(0, 1); };
  model.input = make.input({tokens, batch, width});
  model.target = make.classes(kVocabulary, tokens * batch);
  model.parameters = make.parameters;
  return model;
}

Model small_model(const std::string& name, const Maker& make) {
  if (name == "gpt512") return decoder(make, {6, 256, 4, 512, 2}, false);
  if (name == "gpt2048") return decoder(make, {3, 128, 2, 2048, 1}, false);
  if (name == "llama512") return decoder(make, {6, 256, 4, 512, 2}, true);
  if (name == "llama2048") return decoder(make, {3, 128, 2, 2048, 1}, true);
  if (name == "tiny") return decoder(make, {24, 32, 2, 8, 1}, false);
  if (name == "demo") return decoder(make, {6, 192, 6, 256, 8}, false);
  if (name == "resnet") return resnet(make, 32, 32, 48);
  if (name == "lstm") return lstm(make, 48, 16, 192);
  throw std::invalid_argument("no model " + name);
}

// On a GPU the small ones would show nothing but how fast it is given work.
Model large_model(const std::string& name, const Maker& make) {
  if (name == "gpt512") return decoder(make, {12, 1024, 16, 512, 8}, false);
  if (name == "gpt2048") return decoder(make, {12, 1024, 16, 2048, 2}, false);
  if (name == "llama512") return decoder(make, {12, 1024, 16, 512, 8}, true);
  if (name == "llama2048") return decoder(make, {12, 1024, 16, 2048, 2}, true);
  if (name == "resnet") return resnet(make, 64, 56, 256);
  if (name == "lstm") return lstm(make, 48, 64, 1024);
  return small_model(name, make);
}

}  // namespace

Model make_model(const std::string& name, const at::TensorOptions& kind) {
  torch::manual_seed(1);
  return kind.device().is_cpu() ? small_model(name, Maker(kind)) : large_model(name, Maker(kind));
}

}  // namespace remat::benchmarks
