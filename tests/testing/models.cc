#include "tests/testing/models.h"

#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include <torch/nn.h>

namespace remat::testing {
namespace {

namespace nn = torch::nn;

template <class Module>
void add_layer(Model& model, std::shared_ptr<Module> layer) {
  model.modules->push_back(layer);
  model.layers.emplace_back([layer](const at::Tensor& x) { return layer->forward(x); });
}

struct MlpLayer : nn::Module {
  explicit MlpLayer(double p) : dropout(p) {
    register_module("up", up);
    register_module("down", down);
  }

  // (B, 32) -> (B, 32)
  at::Tensor forward(const at::Tensor& x) {
    return x + torch::dropout(down(torch::gelu(up(x))), dropout, is_training());
  }

  nn::Linear up{32, 128}, down{128, 32};
  double dropout;
};

constexpr std::int64_t kVocabulary = 19, kPositions = 12, kWidth = 16, kHeads = 2;

struct GptEmbedding : nn::Module {
  explicit GptEmbedding(double p) : dropout(p) {
    register_module("tokens", tokens);
    register_module("positions", positions);
    register_module("norm", norm);
  }

  // (B, T) -> (B, T, C)
  at::Tensor forward(const at::Tensor& ids) {
    const auto at = torch::arange(ids.size(1), ids.options());
    return torch::dropout(norm(tokens(ids) + positions(at)), dropout, is_training());
  }

  nn::Embedding tokens{kVocabulary, kWidth}, positions{kPositions, kWidth};
  nn::LayerNorm norm{nn::LayerNormOptions({kWidth})};
  double dropout;
};

struct GptBlock : nn::Module {
  explicit GptBlock(double p) : dropout(p) {
    register_module("norm1", norm1);
    register_module("qkv", qkv);
    register_module("out", out);
    register_module("norm2", norm2);
    register_module("up", up);
    register_module("down", down);
  }

  // (B, T, C) -> (B, T, C)
  at::Tensor attend(const at::Tensor& x) {
    const auto batch = x.size(0), time = x.size(1);
    auto heads = [&](const at::Tensor& t) {
      return t.view({batch, time, kHeads, kWidth / kHeads}).transpose(1, 2);
    };
    const auto parts = qkv(x).chunk(3, -1);
    const auto future = torch::ones({time, time}, x.options()).triu(1).to(at::kBool);
    auto scores = heads(parts[0]).matmul(heads(parts[1]).transpose(-2, -1));
    scores = scores / std::sqrt(static_cast<double>(kWidth) / kHeads);
    scores = scores.masked_fill(future, -std::numeric_limits<float>::infinity()).softmax(-1);
    scores = torch::dropout(scores, dropout, is_training());
    return out(scores.matmul(heads(parts[2])).transpose(1, 2).reshape({batch, time, kWidth}));
  }

  at::Tensor forward(const at::Tensor& x) {
    const auto y = x + torch::dropout(attend(norm1(x)), dropout, is_training());
    return y + torch::dropout(down(torch::gelu(up(norm2(y)))), dropout, is_training());
  }

  nn::LayerNorm norm1{nn::LayerNormOptions({kWidth})}, norm2{nn::LayerNormOptions({kWidth})};
  nn::Linear qkv{kWidth, 3 * kWidth}, out{kWidth, kWidth};
  nn::Linear up{kWidth, 4 * kWidth}, down{4 * kWidth, kWidth};
  double dropout;
};

struct GptHead : nn::Module {
  GptHead() {
    register_module("norm", norm);
    register_module("logits", logits);
  }

  // (B, T, C) -> (B, T, V)
  at::Tensor forward(const at::Tensor& x) { return logits(norm(x)); }

  nn::LayerNorm norm{nn::LayerNormOptions({kWidth})};
  nn::Linear logits{kWidth, kVocabulary};
};

nn::Conv2d convolution(std::int64_t from, std::int64_t to) {
  return nn::Conv2d(nn::Conv2dOptions(from, to, 3).padding(1).bias(false));
}

struct ResnetStem : nn::Module {
  ResnetStem() {
    register_module("conv", conv);
    register_module("norm", norm);
  }

  // (B, 3, H, W) -> (B, 8, H, W)
  at::Tensor forward(const at::Tensor& x) { return norm(conv(x)).relu_(); }

  nn::Conv2d conv = convolution(3, 8);
  nn::BatchNorm2d norm{8};
};

struct ResnetBlock : nn::Module {
  explicit ResnetBlock(double p) : dropout(p) {
    register_module("conv1", conv1);
    register_module("norm1", norm1);
    register_module("conv2", conv2);
    register_module("norm2", norm2);
  }

  // (B, 8, H, W) -> (B, 8, H, W)
  at::Tensor forward(const at::Tensor& x) {
    auto y = torch::dropout(norm1(conv1(x)).relu_(), dropout, is_training());
    y = norm2(conv2(y));
    y += x;
    return y.relu_();
  }

  nn::Conv2d conv1 = convolution(8, 8), conv2 = convolution(8, 8);
  nn::BatchNorm2d norm1{8}, norm2{8};
  double dropout;
};

struct ResnetHead : nn::Module {
  ResnetHead() { register_module("logits", logits); }

  // (B, 8, H, W) -> (B, 5)
  at::Tensor forward(const at::Tensor& x) { return logits(x.mean({2, 3})); }

  nn::Linear logits{8, 5};
};

struct LstmLayer : nn::Module {
  explicit LstmLayer(double p) : lstm(nn::LSTMOptions(24, 24).num_layers(2).dropout(p)) {
    register_module("lstm", lstm);
  }

  // (T, B, 24) -> (T, B, 24)
  at::Tensor forward(const at::Tensor& x) { return std::get<0>(lstm->forward(x)); }

  nn::LSTM lstm;
};

}  // namespace

Model make_mlp(double dropout) {
  Model model;
  for (int i = 0; i < kLayers; ++i) {
    add_layer(model, std::make_shared<MlpLayer>(dropout));
  }
  model.input = torch::randn({64, 32});
  return model;
}

Model make_gpt(double dropout) {
  Model model;
  add_layer(model, std::make_shared<GptEmbedding>(dropout));
  for (int i = 0; i < kLayers - 2; ++i) {
    add_layer(model, std::make_shared<GptBlock>(dropout));
  }
  add_layer(model, std::make_shared<GptHead>());
  model.input = torch::randint(kVocabulary, {4, kPositions}, at::kLong);
  return model;
}

Model make_resnet(double dropout) {
  Model model;
  add_layer(model, std::make_shared<ResnetStem>());
  for (int i = 0; i < kLayers - 2; ++i) {
    add_layer(model, std::make_shared<ResnetBlock>(dropout));
  }
  add_layer(model, std::make_shared<ResnetHead>());
  model.input = torch::randn({4, 3, 8, 8});
  return model;
}

Model make_lstm(double dropout) {
  Model model;
  for (int i = 0; i < kLayers; ++i) {
    add_layer(model, std::make_shared<LstmLayer>(dropout));
  }
  model.input = torch::randn({6, 8, 24});
  return model;
}

std::ostream& operator<<(std::ostream& out, const NamedModel& model) { return out << model.name; }

const std::vector<NamedModel>& all_models() {
  static const std::vector<NamedModel> models = {
      {"Mlp", make_mlp}, {"Gpt", make_gpt}, {"Resnet", make_resnet}, {"Lstm", make_lstm}};
  return models;
}

at::Tensor run_plainly(const std::vector<Layer>& layers, at::Tensor x) {
  for (const Layer& layer : layers) {
    x = layer(std::move(x));
  }
  return x;
}

}  // namespace remat::testing
