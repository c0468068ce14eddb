// The zoo's networks of src/models, small.
#include <string>

#include <remat/checkpoint.h>
#include <remat/placement.h>

#include "models/decoder.h"
#include "models/encoder_decoder.h"
#include "models/resnet.h"
#include "models/unet.h"
#include "tests/tape/zoo_making.h"
#include "tests/testing/torch_versions.h"

namespace remat::testing {
namespace {

namespace F = torch::nn::functional;
using models::AttentionKind;
using models::DecoderStyle;

constexpr std::int64_t kVocabulary = 61;

models::DecoderConfig decoder_config(DecoderStyle style, AttentionKind attention) {
  models::DecoderConfig config;
  config.style = style;
  config.attention = attention;
  config.layers = 4;
  config.dim = 32;
  config.heads = 4;
  if (style == DecoderStyle::kLlama) config.kv_heads = 2;
  config.seq = 32;
  config.vocab = kVocabulary;
  config.dropout = attention == AttentionKind::kMaterialized ? 0.1 : 0.0;
  return config;
}

using RunDecoder = std::function<at::Tensor(models::Decoder&, const at::Tensor& tokens)>;

ZooModel decoder(const std::string& name, DecoderStyle style, AttentionKind attention,
                 const RunDecoder& run) {
  return zoo_model(name, [=] {
    const auto model = models::make_decoder(decoder_config(style, attention));
    const auto tokens = below(kVocabulary, {4, 33});
    return parts_of(model, [=](int step) {
      const auto& text = tokens(step);
      return models::next_token_loss(run(*model, text.slice(1, 0, 32)), text.slice(1, 1));
    });
  });
}

at::Tensor plainly(models::Decoder& model, const at::Tensor& tokens) {
  return model.forward(tokens);
}

RunDecoder placed(const std::string& policy) {
  return [placement = Placement::parse(policy)](models::Decoder& model, const at::Tensor& tokens) {
    return model.forward(tokens, placement);
  };
}

at::Tensor in_bfloat16(models::Decoder& model, const at::Tensor& tokens) {
  const CpuAutocast autocast;
  return model.forward(tokens);
}

std::vector<ZooModel> decoders() {
  const auto materialized = AttentionKind::kMaterialized, efficient = AttentionKind::kEfficient;
  const auto gpt2 = DecoderStyle::kGpt2, llama = DecoderStyle::kLlama;
  return {decoder("GptWithDropout", gpt2, materialized, plainly),
          decoder("GptEfficientAttention", gpt2, efficient, plainly),
          decoder("GptAutocast", gpt2, materialized, in_bfloat16),
          decoder("GptEachBlockARegion", gpt2, materialized, placed("full")),
          decoder("LlamaWithDropout", llama, materialized, plainly),
          decoder("LlamaEfficientAttention", llama, efficient, plainly),
          decoder("LlamaEverySecondBlockARegion", llama, materialized, placed("every:2"))};
}

ZooModel mlp() {
  return zoo_model("Mlp", [] {
    torch::nn::Sequential model;
    for (int i = 0; i < 6; ++i) {
      model->push_back(torch::nn::Linear(32, 32));
      model->push_back(torch::nn::GELU());
    }
    const auto x = normal({64, 32});
    return parts_of(model, [=](int step) mutable { return loss_of(model->forward(x(step))); });
  });
}

ZooModel resnet(const std::string& name, models::ResNetConfig config, at::MemoryFormat format) {
  config.small_images = true;
  config.classes = 10;
  return zoo_model(name, [=] {
    models::ResNet model(config);
    const Batches images({torch::randn({4, 3, 16, 16}).contiguous(format),
                          torch::randn({4, 3, 16, 16}).contiguous(format)});
    const auto labels = below(10, {4});
    return parts_of(model, [=](int step) mutable {
      return F::cross_entropy(model->forward(images(step)), labels(step));
    });
  });
}

std::vector<ZooModel> resnets() {
  auto resnet18 = models::ResNetConfig::resnet18(), resnet50 = models::ResNetConfig::resnet50();
  resnet18.width = 8;
  resnet50.width = 4;
  return {resnet("ResNet18", resnet18, at::MemoryFormat::Contiguous),
          resnet("ResNet18ChannelsLast", resnet18, at::MemoryFormat::ChannelsLast),
          resnet("ResNet50", resnet50, at::MemoryFormat::Contiguous)};
}

ZooModel unet(const std::string& name, models::ImageNorm norm) {
  return zoo_model(name, [=] {
    models::UNet model(models::UNetConfig{3, /*classes=*/5, /*width=*/8, /*depth=*/3, norm});
    const auto images = normal({2, 3, 24, 24});
    const auto classes = below(5, {2, 24, 24});
    return parts_of(model, [=](int step) mutable {
      return F::cross_entropy(model->forward(images(step)), classes(step));
    });
  });
}

ZooModel encoder_decoder() {
  return zoo_model("EncoderDecoder", [] {
    models::EncoderDecoder model(models::EncoderDecoderConfig{kVocabulary, /*dim=*/32, /*heads=*/4,
                                                              /*layers=*/2, /*mlp_dim=*/64,
                                                              /*seq=*/20,
                                                              /*dropout=*/0.1});
    const auto source = below(kVocabulary, {4, 20}), target = below(kVocabulary, {4, 13});
    return parts_of(model, [=](int step) mutable {
      const auto& text = target(step);
      const auto logits = model->forward(source(step), text.slice(1, 0, 12));
      return F::cross_entropy(logits.flatten(0, 1), text.slice(1, 1).flatten());
    });
  });
}

}  // namespace

std::vector<ZooModel> zoo_networks() {
  std::vector<ZooModel> all = decoders();
  all.push_back(mlp());
  for (auto& model : resnets()) all.push_back(model);
  all.push_back(unet("UNetBatchNorm", models::ImageNorm::kBatch));
  all.push_back(unet("UNetGroupNorm", models::ImageNorm::kGroup));
  all.push_back(encoder_decoder());
  return all;
}

}  // namespace remat::testing
