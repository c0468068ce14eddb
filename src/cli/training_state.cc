#include "cli/training_state.h"

#include <cmath>
#include <mutex>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <torch/utils.h>

#include <remat/error.h>

#include "base/check.h"
#include "base/text.h"
#include "cli/choices.h"
#include "cli/state_file.h"

namespace remat::cli {
namespace {

using nlohmann::json;

constexpr const char* kRandomNumbers = "random_numbers";
constexpr const char* kDeviceRandomNumbers = "device_random_numbers";
constexpr std::int64_t kNoStep = -1;  // of a parameter that the optimizer has not yet seen

// The flags that decide what a step computes, and nothing else: --steps and --policy may change.
json deciding_options(const RunOptions& options) {
  const auto rate = learning_rate(options.step, options.lr, options.steps);
  json deciding = options_of(options.model);
  deciding.update({{"--batch", options.batch},
                   {"--lr", options.lr},
                   {"--seed", options.seed},
                   {"--dtype", name_of(kPrecisions, options.precision)},
                   {"--device", c10::DeviceTypeName(options.device.type(), /*lower_case=*/true)},
                   {"--accumulate", options.step.accumulate},
                   {"--clip", options.step.clip},
                   {"--weight-decay", options.step.weight_decay},
                   {"--warmup", rate.warmup},
                   {"--min-lr", rate.lowest},
                   {"--decay-steps", rate.lowest == rate.peak ? 0 : rate.decay_steps},
                   {"--val-fraction", options.step.val_fraction}});
  return deciding;
}

json text_of(const models::ByteText& text) {
  return {{"bytes", text.size()}, {"crc32", text.checksum()}};
}

// A generator that dropout draws from, by the name that its state has in the file. torch_bridge's
// CpuRngState is cheaper, but nothing that can be written to a file.
struct NamedGenerator {
  const char* name;
  at::Generator generator;

  at::Tensor state() {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    return generator.get_state();
  }
  void set_state(const at::Tensor& state) {
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  }
};

std::vector<NamedGenerator> generators_of(c10::Device device) {
  std::vector<NamedGenerator> generators = {{kRandomNumbers, at::detail::getDefaultCPUGenerator()}};
  if (!device.is_cpu()) {
    generators.push_back({kDeviceRandomNumbers, at::globalContext().defaultGenerator(device)});
  }
  return generators;
}

// One parameter with what the optimizer knows of it. Without a step, or with a skipped one, that is
// nothing.
struct ParameterNames {
  explicit ParameterNames(const std::string& name)
      : value(parameter_name(name)), exp_avg("exp_avg/" + name), exp_avg_sq("exp_avg_sq/" + name) {}
  std::string value, exp_avg, exp_avg_sq;
};

class Loader {
 public:
  Loader(const std::string& path, Workload& workload, const RunOptions& options)
      : path_(path), workload_(workload), options_(options), file_(read_state_file(path)) {}

  std::int64_t load() {
    try {
      check_options();
      check_text();
      check_tensors();
      return put();
    } catch (const json::exception& error) {
      fail<Error>(
          "--resume {}: lacks what a training state has ({}); it was not written by this "
          "program, train anew",
          printable(path_), error.what());
    }
  }

 private:
  void check_options() const {
    const auto& then = file_.state.at("options");
    const auto now = deciding_options(options_);
    for (const auto& [flag, value] : now.items()) {
      const auto stored = then.value(flag, json());
      REMAT_CHECK(stored == value, InvalidArgument,
                  "--resume {}: was trained with {} {}, not with {} {}; give {} {}, or train anew",
                  printable(path_), flag, stored.dump(), flag, value.dump(), flag, stored.dump());
    }
  }

  void check_text() const {
    const auto& then = file_.state.at("text");
    REMAT_CHECK(then == text_of(workload_.text()), InvalidArgument,
                "--resume {}: was trained on another text, of {} bytes; --text {} has {} bytes or "
                "other ones; name the text it was trained on",
                printable(path_), then.at("bytes").dump(), printable(options_.text),
                workload_.text().size());
  }

  void check_tensors() const {
    const auto require = [this](const std::string& name, const at::Tensor& like) {
      const auto* tensor = file_.find(name);
      REMAT_CHECK(tensor != nullptr && tensor->sizes() == like.sizes() &&
                      tensor->scalar_type() == like.scalar_type(),
                  Error,
                  "--resume {}: does not hold {} as this model has it; resume with the program and "
                  "the flags that wrote it",
                  printable(path_), name);
    };
    for (auto& generator : generators_of(workload_.device())) {
      require(generator.name, generator.state());
    }
    for (const auto& [name, parameter] : workload_.named_parameters()) {
      const ParameterNames names(name);
      require(names.value, parameter);
      if (!file_.state.at("optimizer_steps").contains(name)) continue;
      require(names.exp_avg, parameter);
      require(names.exp_avg_sq, parameter);
    }
  }

  std::int64_t put() {
    const auto step = file_.state.at("step").get<std::int64_t>();
    const auto& optimizer_steps = file_.state.at("optimizer_steps");
    REMAT_CHECK(workload_.text().seek(file_.state.at("data_position").get<std::string>()), Error,
                "--resume {}: holds no position in the text; train anew", printable(path_));
    for (auto& [name, parameter] : workload_.named_parameters()) {
      put_parameter(ParameterNames(name), parameter, optimizer_steps.value(name, kNoStep));
    }
    for (auto& generator : generators_of(workload_.device())) {
      generator.set_state(*file_.find(generator.name));
    }
    if (workload_.loss_scaler()) put_loss_scale();
    return step;
  }

  void put_loss_scale() {
    const auto& saved = file_.state.at("loss_scale");
    const auto scale = saved.at("scale").get<double>();
    const auto good_steps = saved.at("good_steps").get<std::int64_t>();
    REMAT_CHECK(std::isfinite(scale) && scale > 0 && good_steps >= 0, Error,
                "--resume {}: holds a loss scale that cannot be, {}; train anew", printable(path_),
                saved.dump());
    workload_.loss_scaler()->restore(scale, good_steps);
  }

  void put_parameter(const ParameterNames& names, torch::Tensor& parameter,
                     std::int64_t optimizer_step) {
    const torch::NoGradGuard no_grad;
    parameter.copy_(*file_.find(names.value));
    // As in the middle of a training: adding the first gradient to zeros may change a zero's sign.
    parameter.mutable_grad() = torch::zeros_like(parameter);
    if (optimizer_step == kNoStep) return;
    workload_.set_optimizer_state(parameter, optimizer_step,
                                  file_.find(names.exp_avg)->to(workload_.device()),
                                  file_.find(names.exp_avg_sq)->to(workload_.device()));
  }

  const std::string& path_;
  Workload& workload_;
  const RunOptions& options_;
  StateFile file_;
};

template <class Value, std::size_t N>
Value choice_of(const json& options, const char* flag,
                const std::array<models::Named<Value>, N>& choices) {
  const auto name = options.at(flag).get<std::string>();
  const auto value = value_named(choices, name);
  REMAT_CHECK(value, Error, "the file says {} {}, which this program does not know", flag,
              printable(name));
  return *value;
}

}  // namespace

json options_of(const models::DecoderConfig& model) {
  return {{"--model", name_of(models::kDecoderStyles, model.style)},
          {"--attention", name_of(models::kAttentionKinds, model.attention)},
          {"--layers", model.layers},
          {"--dim", model.dim},
          {"--heads", model.heads},
          {"--kv-heads", model.kv_heads_or_default()},
          {"--seq", model.seq},
          {"--dropout", model.dropout_or_default()}};
}

std::string parameter_name(const std::string& name) { return "parameter/" + name; }

models::DecoderConfig model_of(const json& options) {
  models::DecoderConfig model;
  model.style = choice_of(options, "--model", models::kDecoderStyles);
  model.attention = choice_of(options, "--attention", models::kAttentionKinds);
  model.layers = options.at("--layers");
  model.dim = options.at("--dim");
  model.heads = options.at("--heads");
  model.kv_heads = options.at("--kv-heads");
  model.seq = options.at("--seq");
  model.dropout = options.at("--dropout");
  return model;
}

void save_training_state(const std::string& path, Workload& workload, const RunOptions& options,
                         std::int64_t step) {
  std::vector<NamedTensor> tensors;
  for (auto& generator : generators_of(workload.device())) {
    tensors.push_back({generator.name, generator.state()});
  }
  json optimizer_steps = json::object();
  for (const auto& [name, parameter] : workload.named_parameters()) {
    const ParameterNames names(name);
    tensors.push_back({names.value, parameter});
    if (const auto* state = workload.optimizer_state_of(parameter)) {
      optimizer_steps[name] = state->step();
      tensors.push_back({names.exp_avg, state->exp_avg()});
      tensors.push_back({names.exp_avg_sq, state->exp_avg_sq()});
    }
  }
  json state = {{"step", step},
                {"options", deciding_options(options)},
                {"text", text_of(workload.text())},
                {"data_position", workload.text().position()},
                {"optimizer_steps", optimizer_steps}};
  if (const auto& scaler = workload.loss_scaler()) {
    state["loss_scale"] = {{"scale", scaler->scale()}, {"good_steps", scaler->good_steps()}};
  }
  write_state_file(path, state, tensors);
}

std::int64_t load_training_state(const std::string& path, Workload& workload,
                                 const RunOptions& options) {
  return Loader(path, workload, options).load();
}

}  // namespace remat::cli
