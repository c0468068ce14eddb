#include "cli/saved_model.h"

#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <torch/utils.h>

#include <remat/error.h>

#include "base/check.h"
#include "base/text.h"
#include "cli/safetensors.h"
#include "cli/state_file.h"
#include "cli/tensor_dtype.h"
#include "cli/training_state.h"

namespace remat::cli {
namespace {

constexpr const char* kOptions = "remat.options";  // in the metadata of a safetensors file

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

// The parameters of one safetensors file as those of one model.
class Import {
 public:
  Import(const std::string& flag, const std::string& path, models::Decoder& model,
         const Safetensors& content)
      : flag_(flag), path_(path), model_(model) {
    for (const auto& [name, tensor] : content.tensors) tensors_.emplace(name, tensor);
  }

  void run() {
    const auto parameters = model_.named_parameters();
    for (const auto& item : parameters) check(item.key(), item.value());
    for (const auto& [name, tensor] : tensors_) {
      REMAT_CHECK(parameters.contains(name), InvalidArgument,
                  "{} {}: has {}, which this model does not; give the flags of the model it was "
                  "made with",
                  flag_, printable(path_), printable(name));
    }
    const torch::NoGradGuard no_grad;
    for (auto item : parameters) item.value().copy_(tensors_.at(item.key()));
  }

 private:
  void check(const std::string& name, const torch::Tensor& parameter) const {
    const auto found = tensors_.find(name);
    REMAT_CHECK(found != tensors_.end(), InvalidArgument,
                "{} {}: has no {}, which this model needs; give the flags of the model it was made "
                "with, names as remat train --export writes them",
                flag_, printable(path_), name);
    const auto& tensor = found->second;
    REMAT_CHECK(tensor.sizes() == parameter.sizes(), InvalidArgument,
                "{} {}: has {} ({}), this model ({}); give the flags of the model it was made with",
                flag_, printable(path_), name, fmt::join(tensor.sizes(), ", "),
                fmt::join(parameter.sizes(), ", "));
    const auto type = tensor.scalar_type();
    const bool widens = type == torch::kFloat || type == torch::kHalf || type == torch::kBFloat16;
    REMAT_CHECK(widens, InvalidArgument,
                "{} {}: has {} in {}, this program takes F32, F16 and BF16; convert it to F32", flag_,
                printable(path_), name, dtype_name(type));
  }

  const std::string& flag_;
  const std::string& path_;
  models::Decoder& model_;
  std::map<std::string, torch::Tensor> tensors_;
};

std::shared_ptr<models::Decoder> from_safetensors(const std::string& flag,
                                                  const std::string& path) {
  const auto content = read_safetensors(flag, path);
  const auto options = content.metadata.find(kOptions);
  const auto model = models::make_decoder(model_of(nlohmann::json::parse(
      options == content.metadata.end() ? std::string("null") : options->second)));
  Import(flag, path, *model, content).run();
  return model;
}

std::shared_ptr<models::Decoder> from_state(const std::string& flag, const std::string& path) {
  const auto file = read_state_file(path, flag);
  auto model = models::make_decoder(model_of(file.state.at("options")));
  put_parameters(*model, file, flag, path);
  return model;
}

}  // namespace

std::shared_ptr<models::Decoder> load_model(const std::string& flag, const std::string& path) {
  try {
    return looks_like_safetensors(path) ? from_safetensors(flag, path) : from_state(flag, path);
  } catch (const nlohmann::json::exception& error) {
    fail<Error>(
        "{} {}: does not say which model it holds ({}); name a file that this program wrote", flag,
        printable(path), error.what());
  }
}

void import_parameters(const std::string& flag, const std::string& path, models::Decoder& model) {
  Import(flag, path, model, read_safetensors(flag, path)).run();
}

void export_parameters(const std::string& flag, const std::string& path, models::Decoder& model) {
  Safetensors content;
  content.metadata = {{"format", "pt"}, {kOptions, options_of(model.config()).dump()}};
  for (const auto& item : model.named_parameters()) {
    content.tensors.push_back({item.key(), item.value()});
  }
  write_safetensors(flag, path, content);
}

}  // namespace remat::cli
