// The zoo's single layers: embeddings, norms, pools, convolutions, losses, dropouts.
#include <tuple>

#include <ATen/CPUGeneratorImpl.h>

#include "tests/tape/zoo_making.h"

namespace remat::testing {
namespace {

namespace F = torch::nn::functional;
namespace nn = torch::nn;

// ---- embeddings ------------------------------------------------------------------------------------

ZooModel embedding_with_padding() {
  return zoo_model("EmbeddingWithPadding", [] {
    nn::Embedding embedding(nn::EmbeddingOptions(50, 16).padding_idx(0));
    nn::Linear head(16, 50);
    const auto ids = below(50, {4, 12});
    auto parameters = head->parameters();
    parameters.push_back(embedding->weight);
    return ZooParts{parameters, [=](int step) mutable {
                      const auto x = torch::dropout(embedding(ids(step)), 0.3, true).tanh();
                      return F::cross_entropy(head(x).flatten(0, 1), ids(step).flatten(),
                                              F::CrossEntropyFuncOptions().ignore_index(0));
                    }};
  });
}

// The weights are scaled in place by the forward.
ZooModel embedding_max_norm() {
  return zoo_model("EmbeddingMaxNorm", [] {
    nn::Embedding model(nn::EmbeddingOptions(50, 16).max_norm(1.0));
    const auto ids = below(50, {4, 12});
    return parts_of(model, [=](int step) mutable { return loss_of(model(ids(step))); });
  });
}

ZooModel sparse_embedding() {
  auto model = zoo_model("EmbeddingSparse", [] {
    nn::Embedding embedding(nn::EmbeddingOptions(50, 16).sparse(true));
    const auto ids = below(50, {4, 12});
    return parts_of(embedding, [=](int step) mutable { return loss_of(embedding(ids(step))); });
  });
  model.sparse_gradients = true;
  return model;
}

template <class Mode>
ZooModel embedding_bag(const char* name, Mode mode) {
  return zoo_model(name, [=] {
    nn::EmbeddingBag model(nn::EmbeddingBagOptions(50, 16).mode(mode));
    const auto ids = below(50, {4, 12});
    return parts_of(model, [=](int step) mutable { return loss_of(model(ids(step))); });
  });
}

// ---- images ----------------------------------------------------------------------------------------

ZooModel image_layers(const char* name, nn::Sequential (*make)()) {
  return zoo_model(name, [=] {
    auto model = make();
    const auto images = normal({3, 4, 12, 12});
    return parts_of(model, [=](int step) mutable { return loss_of(model->forward(images(step))); });
  });
}

nn::Conv2d convolution() { return nn::Conv2d(nn::Conv2dOptions(4, 8, 3).padding(1)); }

nn::Sequential group_norm() {
  return nn::Sequential(convolution(), nn::GroupNorm(nn::GroupNormOptions(2, 8)),
                        nn::LeakyReLU(nn::LeakyReLUOptions().inplace(true)), nn::Conv2d(8, 3, 3));
}

nn::Sequential instance_norm() {
  return nn::Sequential(
      convolution(),
      nn::InstanceNorm2d(nn::InstanceNorm2dOptions(8).affine(true).track_running_stats(true)),
      nn::ELU(nn::ELUOptions().inplace(true)), nn::Conv2d(8, 3, 3));
}

nn::Sequential pools() {
  return nn::Sequential(convolution(), nn::MaxPool2d(2), nn::SiLU(),
                        nn::AvgPool2d(nn::AvgPool2dOptions(3).stride(1).padding(1)),
                        nn::Conv2d(8, 8, 3), nn::AdaptiveMaxPool2d(3), nn::Hardtanh(),
                        nn::FractionalMaxPool2d(nn::FractionalMaxPool2dOptions(2).output_size(2)));
}

nn::Sequential convolutions() {
  return nn::Sequential(
      nn::Conv2d(nn::Conv2dOptions(4, 8, 3).padding(2).dilation(2).groups(2)), nn::Tanh(),
      nn::Conv2d(nn::Conv2dOptions(8, 8, 3).groups(8).padding(1)), nn::Softplus(),
      nn::ConvTranspose2d(nn::ConvTranspose2dOptions(8, 4, 2).stride(2)), nn::PReLU(),
      nn::Flatten(nn::FlattenOptions().start_dim(2)), nn::Conv1d(nn::Conv1dOptions(4, 4, 5)));
}

ZooModel max_pool_indices() {
  return zoo_model("MaxPoolIndices", [] {
    auto conv = convolution();
    const auto images = normal({3, 4, 12, 12});
    return parts_of(conv, [=](int step) mutable {
      const auto x = conv(images(step));
      const auto [pooled, indices] = torch::max_pool2d_with_indices(x, 2);
      const auto back = torch::max_unpool2d(pooled.sin(), indices, {12, 12});
      return loss_of(back * x);
    });
  });
}

ZooModel resampling() {
  return zoo_model("Resampling", [] {
    auto conv = convolution();
    const auto images = normal({3, 4, 12, 12});
    return parts_of(conv, [=](int step) mutable {
      const auto x = torch::pixel_shuffle(conv(images(step)), 2).tanh();
      const auto bigger = torch::upsample_bicubic2d(x, {30, 30}, false);
      const auto theta = x.mean().reshape({1, 1, 1}) * torch::eye(2, 3).unsqueeze(0);
      const auto grid = torch::affine_grid_generator(theta.expand({3, 2, 3}), {3, 2, 9, 9}, false);
      return loss_of(torch::grid_sampler(bigger, grid, 0, 1, false)) +
             loss_of(torch::reflection_pad2d(x, {1, 2, 3, 4}).roll({1, 2}, {2, 3}));
    });
  });
}

// ---- losses ----------------------------------------------------------------------------------------

ZooModel ctc_loss() {
  return zoo_model("CtcLoss", [] {
    nn::Linear model(8, 6);
    const auto x = normal({15, 3, 8});
    const auto targets = Batches({torch::randint(1, 6, {3, 5}, at::kLong)});
    return parts_of(model, [=](int step) mutable {
      const auto log_probabilities = model(x(step)).log_softmax(2);
      return torch::ctc_loss(log_probabilities, targets(step), at::IntArrayRef{15, 15, 12},
                             at::IntArrayRef{5, 4, 3});
    });
  });
}

ZooModel losses() {
  return operator_mix("Losses", [](const at::Tensor& x, const at::Tensor& w) {
    const auto y = x.mm(w), z = y.mm(w), one = torch::ones({8});
    return F::smooth_l1_loss(y, x) + F::mse_loss(z, x) + F::huber_loss(y, z) +
           F::kl_div(y.log_softmax(1), z.softmax(1),
                     F::KLDivFuncOptions().reduction(torch::kBatchMean)) +
           F::binary_cross_entropy(y.sigmoid(), (x > 0).to(at::kFloat)) +
           F::binary_cross_entropy_with_logits(z, x.sigmoid()) + F::soft_margin_loss(y, x.sign()) +
           F::cosine_embedding_loss(y, z, one) + F::margin_ranking_loss(y.sum(1), z.sum(1), one) +
           F::multi_margin_loss(y, torch::arange(8)) + F::poisson_nll_loss(y, x.abs()) +
           F::triplet_margin_loss(y, z, x) + F::l1_loss(y, x);
  });
}

// ---- random numbers --------------------------------------------------------------------------------

ZooModel dropouts() {
  return operator_mix("Dropouts", [](const at::Tensor& x, const at::Tensor& w) {
    auto h = torch::dropout(x.mm(w), 0.2, true);
    h = torch::alpha_dropout(h.mm(w), 0.2, true);
    h = torch::feature_dropout(h.view({8, 4, 4}), 0.2, true).reshape({8, 16});
    h = torch::feature_alpha_dropout(h.mm(w).view({8, 4, 4}), 0.2, true).reshape({8, 16});
    h = F::gumbel_softmax(h.mm(w), F::GumbelSoftmaxFuncOptions().tau(0.5));
    auto y = h.mm(w);
    torch::dropout_(y, 0.3, true);
    auto z = y.mm(w);
    torch::alpha_dropout_(z, 0.3, true);
    auto v = z.mm(w).view({8, 4, 4});
    torch::feature_dropout_(v, 0.3, true);
    return loss_of(v);
  });
}

ZooModel rrelus() {
  return operator_mix("RRelus", [](const at::Tensor& x, const at::Tensor& w) {
    auto h = torch::rrelu(x.mm(w), 0.1, 0.5, true).mm(w);
    torch::rrelu_(h, 0.1, 0.5, true);
    return loss_of(h);
  });
}

ZooModel noise() {
  return operator_mix("Noise", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w);
    const auto mean = h.slice(1, 0, 8), deviation = h.slice(1, 8).exp();
    auto z = mean + deviation * torch::randn_like(mean);  // a variational autoencoder's
    z = z * torch::rand({8, 8}).add_(0.5) + at::normal(mean.detach(), 0.1) * mean;
    z = z + torch::empty_like(z).exponential_(2.0) * mean;
    const auto order = torch::randperm(8);
    const auto kept = torch::multinomial(h.softmax(1), 4);
    return loss_of(z.index_select(0, order)) + loss_of(h.gather(1, kept)) +
           loss_of(h * torch::poisson(h.detach().abs()) + torch::randint_like(h, 3) * h);
  });
}

ZooModel own_generator() {
  return zoo_model("OwnGenerator", [] {
    const auto w = weight({16, 16});
    const auto x = normal({8, 16});
    auto generator = at::detail::createCPUGenerator(5);
    return ZooParts{{w}, [=](int step) mutable {
                      const auto h = x(step).mm(w).tanh();
                      const auto scale = at::rand({8, 16}, generator) + 0.1;
                      const auto kept = at::bernoulli(h.detach().sigmoid(), generator);
                      return loss_of((torch::dropout(h, 0.2, true) * scale * kept).mm(w));
                    }};
  });
}

}  // namespace

std::vector<ZooModel> zoo_layers() {
  return {embedding_with_padding(),
          embedding_max_norm(),
          sparse_embedding(),
          embedding_bag("EmbeddingBagMax", torch::kMax),
          embedding_bag("EmbeddingBagMean", torch::kMean),
          image_layers("GroupNorm", group_norm),
          image_layers("InstanceNorm", instance_norm),
          image_layers("Pools", pools),
          image_layers("Convolutions", convolutions),
          max_pool_indices(),
          resampling(),
          ctc_loss(),
          losses(),
          dropouts(),
          rrelus(),
          noise(),
          own_generator()};
}

}  // namespace remat::testing
