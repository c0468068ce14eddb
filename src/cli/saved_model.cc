#include "cli/saved_model.h"

#include <nlohmann/json.hpp>

#include <torch/utils.h>

#include <remat/error.h>

#include "base/check.h"
#include "base/text.h"
#include "cli/state_file.h"
#include "cli/training_state.h"

namespace remat::cli {
namespace {

void put_parameters(models::Decoder& model, const StateFile& file, const std::string& flag,
                    const std::string& path) {
  const torch::NoGradGuard no_grad;
  for (auto& item : model.named_parameters()) {
    const auto* saved = file.find(parameter_name(item.key()));
    REMAT_CHECK(saved != nullptr && saved->sizes() == item.value().sizes(), Error,
                "{} {}: does not hold {} as its model has it; name a file that this program wrote",
                flag, printable(path), item.key());
    item.value().copy_(*saved);
  }
}

}  // namespace

std::shared_ptr<models::Decoder> load_model(const std::string& flag, const std::string& path) {
  const auto file = read_state_file(path, flag);
  try {
    const auto model = models::make_decoder(model_of(file.state.at("options")));
    put_parameters(*model, file, flag, path);
    return model;
  } catch (const nlohmann::json::exception& error) {
    fail<Error>(
        "{} {}: does not say which model it holds ({}); name a file that this program wrote", flag,
        printable(path), error.what());
  }
}

}  // namespace remat::cli
