#include "budget_curve/workloads.h"

#include <torch/nn/functional/loss.h>

#include "models/decoder_config.h"
#include "models/gpt.h"
#include "models/llama.h"
#include "models/lstm_language_model.h"
#include "models/resnet.h"
#include "models/unet.h"

namespace remat::benchmarks {
namespace {

namespace F = torch::nn::functional;

at::Tensor token_loss(const at::Tensor& logits, const at::Tensor& targets) {
  return F::cross_entropy(logits.flatten(0, -2), targets.flatten());
}

template <class Model>
Workload decoder(const std::string& name, models::DecoderStyle style, bool smoke) {
  models::DecoderConfig config;
  config.style = style;
  config.layers = smoke ? 2 : 8;
  config.seq = smoke ? 32 : 256;
  const std::int64_t batch = smoke ? 2 : 8;
  Model model(config);
  const at::Tensor tokens = torch::randint(256, {batch, config.seq + 1}, at::kLong);
  const auto loss = [model, tokens, length = config.seq](const Placement& placement) mutable {
    const at::Tensor logits = model->forward(tokens.narrow(1, 0, length), placement);
    return token_loss(logits, tokens.narrow(1, 1, length));
  };
  return {name, model.ptr(), loss};
}

Workload resnet(bool smoke) {
  models::ResNetConfig config = models::ResNetConfig::resnet50();
  config.width = smoke ? 4 : 32;
  config.classes = 100;
  models::ResNet model(config);
  const at::Tensor images = torch::randn({smoke ? 2 : 8, 3, smoke ? 32 : 128, smoke ? 32 : 128});
  const at::Tensor classes = torch::randint(100, {images.size(0)}, at::kLong);
  return {"resnet50", model.ptr(), [model, images, classes](const Placement& placement) mutable {
            return F::cross_entropy(model->forward(images, placement), classes);
          }};
}

Workload unet(bool smoke) {
  models::UNetConfig config;
  config.width = 16;
  models::UNet model(config);
  const at::Tensor images = torch::randn({smoke ? 1 : 2, 3, smoke ? 32 : 192, smoke ? 32 : 192});
  const at::Tensor classes =
      torch::randint(config.classes, {images.size(0), images.size(2), images.size(3)}, at::kLong);
  return {"unet", model.ptr(), [model, images, classes](const Placement& placement) mutable {
            return F::cross_entropy(model->forward(images, placement), classes);
          }};
}

Workload lstm(bool smoke) {
  models::LstmConfig config;
  config.dim = smoke ? 16 : 256;
  // Of a chain of T equal steps ~sqrt(T) in a region need the least memory.
  config.stretch = smoke ? 2 : 10;
  models::LstmLanguageModel model(config);
  const at::Tensor tokens = torch::randint(256, {smoke ? 2 : 16, smoke ? 9 : 101}, at::kLong);
  return {"lstm", model.ptr(), [model, tokens](const Placement& placement) mutable {
            const std::int64_t length = tokens.size(1) - 1;
            return token_loss(model->forward(tokens.narrow(1, 0, length), placement),
                              tokens.narrow(1, 1, length));
          }};
}

}  // namespace

std::vector<std::string> workload_names() { return {"gpt", "llama", "resnet50", "unet", "lstm"}; }

Workload make_workload(const std::string& name, bool smoke) {
  torch::manual_seed(1);
  if (name == "gpt") return decoder<models::Gpt>(name, models::DecoderStyle::kGpt2, smoke);
  if (name == "llama") return decoder<models::Llama>(name, models::DecoderStyle::kLlama, smoke);
  if (name == "resnet50") return resnet(smoke);
  if (name == "unet") return unet(smoke);
  return lstm(smoke);
}

}  // namespace remat::benchmarks
