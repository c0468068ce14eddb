// The zoo's writers: every in-place operator in use, views of what is written, results given to be filled.
#include <functional>
#include <vector>

#include "tests/tape/zoo_making.h"

namespace remat::testing {
namespace {

// Writes into its argument, an intermediate result that no one has read yet.
using Write = std::function<void(at::Tensor& y)>;

// Each on a product of its own, half way through the model.
ZooModel writes(const char* name, std::function<std::vector<Write>(const at::Tensor& x)> make) {
  return operator_mix(name, [make = std::move(make)](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).tanh();
    at::Tensor loss = h.mean();
    double scale = 1;
    for (const auto& write : make(x)) {
      auto y = h * (scale += 0.01);
      write(y);
      loss = loss + loss_of(y.mm(w)) + (y * h).mean();
    }
    return loss;
  });
}

std::vector<Write> unary(const at::Tensor& /*x*/) {
  return {[](auto& y) { y.relu_(); },
          [](auto& y) { y.sigmoid_(); },
          [](auto& y) { y.tanh_(); },
          [](auto& y) { y.exp_(); },
          [](auto& y) { y.abs_().add_(0.5).log_(); },
          [](auto& y) { y.sin_(); },
          [](auto& y) { y.cos_(); },
          [](auto& y) { y.neg_(); },
          [](auto& y) { y.square_(); },
          [](auto& y) { y.abs_().add_(1).sqrt_(); },
          [](auto& y) { y.abs_().add_(1).rsqrt_(); },
          [](auto& y) { y.abs_().add_(1).reciprocal_(); },
          [](auto& y) { y.erf_(); },
          [](auto& y) { y.expm1_(); },
          [](auto& y) { y.abs_().log1p_(); },
          [](auto& y) { y.atan_(); },
          [](auto& y) { y.sign_(); },
          [](auto& y) { torch::leaky_relu_(y, 0.1); },
          [](auto& y) { torch::elu_(y); },
          [](auto& y) { torch::celu_(y); },
          [](auto& y) { torch::selu_(y); },
          [](auto& y) { torch::silu_(y); },
          [](auto& y) { torch::nn::functional::relu6(y, true); },
          [](auto& y) { torch::hardtanh_(y, -0.3, 0.3); },
          [](auto& y) { torch::hardswish_(y); },
          [](auto& y) { torch::hardsigmoid_(y); },
          [](auto& y) { torch::threshold_(y, 0.1, 0.2); }};
}

std::vector<Write> arithmetic(const at::Tensor& x) {
  return {[](auto& y) { y.add_(1).mul_(0.5).sub_(0.1).div_(3); },
          [x](auto& y) { y.add_(x, 0.3); },
          [x](auto& y) { y.mul_(x.select(0, 3)); },
          [x](auto& y) { y.div_(x.abs().add(1)); },
          [x](auto& y) { y.addcmul_(x, x, 0.2); },
          [x](auto& y) { y.addcdiv_(x, x.exp(), 0.2); },
          [x](auto& y) { y.lerp_(x, 0.3); },
          [x](auto& y) { y.addmm_(x, x.t().mm(x), 0.5, 0.01); },
          [x](auto& y) { y.copysign_(x); },
          [](auto& y) { y.pow_(2); },
          [](auto& y) { y.clamp_(-0.4, 0.4); },
          [](auto& y) { y.clamp_min_(-0.2); },
          [](auto& y) { y.remainder_(0.3); },
          [](auto& y) { y.cumsum_(1); },
          [](auto& y) { y.renorm_(2, 0, 0.9); },
          [](auto& y) { y.nan_to_num_(0.0); },
          [x](auto& y) { y += x; },
          [x](auto& y) { (y -= 0.1) *= x; }};
}

std::vector<Write> indexed(const at::Tensor& x) {
  const auto rows = torch::tensor({1, 3});
  const auto some = x.slice(0, 0, 2);
  return {[](auto& y) { y.masked_fill_(y > 0.2, 0.7); },
          [x](auto& y) { y.masked_scatter_(x > 0, x); },
          [=](auto& y) { y.index_put_({rows}, some); },
          [=](auto& y) {
            y.index_put_({rows, rows}, torch::ones({2}), /*accumulate=*/true);
          },
          [=](auto& y) { y.index_add_(0, rows, some, 0.5); },
          [=](auto& y) { y.index_copy_(0, rows, some); },
          [=](auto& y) { y.index_fill_(0, rows, 0.25); },
          [=](auto& y) {
            y.scatter_(0, torch::ones({1, 16}, at::kLong), some);
          },
          [=](auto& y) {
            y.scatter_add_(0, torch::ones({2, 16}, at::kLong), some);
          },
          [](auto& y) { y.fill_diagonal_(0.5); },
          [](auto& y) { y.tril_(); },
          [](auto& y) { y.triu_(2); },
          [](auto& y) {
            y.put_(torch::tensor({3, 40}), torch::ones({2}));
          },
          [](auto& y) { y.fill_(0.5); },
          [](auto& y) { y.zero_(); },
          [x](auto& y) { y.copy_(x); }};
}

std::vector<Write> through_views(const at::Tensor& x) {
  return {[](auto& y) { y.t().slice(0, 0, 3).zero_(); },
          [](auto& y) { y.narrow(1, 0, 4).mul_(2); },
          [x](auto& y) { y.select(0, 2).copy_(x.select(0, 1)); },
          [](auto& y) {
            y.view({4, 32}).slice(1, 5, 20, 3).sigmoid_();
          },
          [](auto& y) { y.diagonal().add_(1); },
          [](auto& y) {
            y.unflatten(1, {4, 4}).transpose(1, 2).select(1, 0).tanh_();
          },
          [](auto& y) { y.slice(0, 0, 4).add_(1).slice(1, 0, 3).mul_(0.5).relu_(); },
          [](auto& y) {
            y.as_strided({3, 3}, {16, 2}, 5).exp_();
          },
          [](auto& y) { y.unsqueeze_(0).transpose_(1, 2).transpose_(1, 2).squeeze_(0); },
          [](auto& y) {
            y.expand({2, 8, 16}).select(0, 1).slice(1, 2, 5).neg_();
          },
          [x](auto& y) {
            y.index({torch::indexing::Slice(1, 4)}).addcmul_(x.slice(0, 0, 3), x.slice(0, 1, 4));
          }};
}

std::vector<Write> random(const at::Tensor& /*x*/) {
  return {[](auto& y) { torch::dropout_(y, 0.3, true); },
          [](auto& y) { torch::rrelu_(y, 0.1, 0.4, true); },
          [](auto& y) {
            y.mul_(torch::empty({8, 16}).bernoulli_(0.8).div_(0.8));
          },
          [](auto& y) { y.add_(torch::empty({16}).normal_()); },
          [](auto& y) { y.slice(1, 3, 9).uniform_(-1, 1); },
          [](auto& y) { y.slice(0, 2, 4).normal_(0, 0.2); }};
}

// ---- chains and buffers ----------------------------------------------------------------------------

ZooModel chain() {
  return operator_mix("InPlaceChain", [](const at::Tensor& x, const at::Tensor& w) {
    auto h = x.mm(w);
    h.add_(1).mul_(0.5);
    torch::relu_(h);
    auto q = h.mm(w);
    q.sub_(0.1).clamp_(-1, 1);
    auto r = q * 0.5;
    r += q;
    r.sigmoid_();
    return (r * h).pow(2).mean() + loss_of(r.mm(w).add_(x).tanh_());
  });
}

ZooModel cache() {
  return operator_mix("CacheWrittenBySlices", [](const at::Tensor& x, const at::Tensor& w) {
    const auto cache = torch::zeros({4, 8, 16});
    for (int t = 0; t < 4; ++t) cache.select(0, t).copy_((x.mm(w) * (t + 1)).tanh());
    auto y = cache.tanh().sum(0);
    y.index_put_({torch::tensor({1, 3})}, torch::zeros({2, 16}));
    y = y.mm(w);
    y.masked_fill_(y > 2, 0.0);
    y.narrow(1, 0, 4).mul_(2);
    const auto z = y.tanh().exp().mul(y);
    z.t().slice(0, 0, 3).zero_();
    return loss_of(z);
  });
}

ZooModel partly_written() {
  return operator_mix("FreshMemoryWrittenInParts", [](const at::Tensor& x, const at::Tensor& w) {
    const auto both = torch::empty({2, 8, 16});
    both.select(0, 0).copy_(x.mm(w).tanh());
    both.select(0, 1).copy_(x.mm(w).sigmoid());
    const auto full = torch::empty({16, 8}).t();
    full.copy_(x.mm(w));
    return (both.tanh() * both).mean() + loss_of(full.sin() * full);
  });
}

ZooModel out_variants() {
  return operator_mix("ResultsGivenToBeFilled", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).tanh();
    auto out = torch::empty({0}), sum = torch::empty({8, 16});
    {
      const torch::NoGradGuard no_grad;
      auto values = torch::empty({0}), indices = torch::empty({0}, at::kLong);
      auto wide = torch::zeros({8, 32});
      auto right = wide.slice(1, 16);
      at::mul_out(out, h, h);
      at::add_out(sum, out, h);
      at::max_out(values, indices, sum, 1);
      at::sigmoid_out(right, sum);
      at::cat_out(out, {sum.slice(1, 0, 8), right.slice(1, 0, 8)}, 1);
      sum = sum + values.unsqueeze(1) + wide.sum(1, true);
    }
    return loss_of((h * sum).mm(w)) + loss_of(h * out);
  });
}

ZooModel exchanged_storage() {
  return operator_mix("ResizedAndExchangedStorage", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).tanh();
    at::Tensor s = torch::empty({0});
    {
      const torch::NoGradGuard no_grad;
      s.resize_({8, 16});
      s.copy_(h);
      const auto z = torch::zeros({4});
      z.set_(s);
      s = z * 2;
      s.resize_({4, 16}).add_(1).resize_({8, 16});
      s.slice(0, 4).copy_(h.slice(0, 0, 4));
    }
    return loss_of((h * s).mm(w));
  });
}

ZooModel moving_average() {
  return zoo_model("MovingAverage", [] {
    const auto w = weight({16, 16}), average = torch::zeros({8, 16}), count = torch::zeros({});
    const auto x = normal({8, 16});
    return ZooParts{{w},
                    [=](int step) {
                      const auto h = x(step).mm(w).tanh();
                      const auto y = h * average.exp();
                      {
                        const torch::NoGradGuard no_grad;
                        average.mul_(0.9).add_(h.detach(), 0.1);
                        count.add_(1);
                      }
                      return loss_of(y.mm(w) * average.exp() / count);
                    },
                    {average, count}};
  });
}

// Operators that write each tensor of a list.
ZooModel lists() {
  return zoo_model("ListsWritten", [] {
    const auto w = weight({16, 16});
    const std::vector<at::Tensor> averages = {torch::zeros({8, 16}), torch::ones({8, 16})};
    const auto x = normal({8, 16});
    return ZooParts{{w},
                    [=](int step) {
                      const auto h = x(step).mm(w).tanh(), y = h.mm(w);
                      {
                        const torch::NoGradGuard no_grad;
                        at::_foreach_mul_(averages, 0.9);
                        at::_foreach_add_(averages, {h.detach(), y.detach()}, 0.1);
                      }
                      return loss_of(y * averages[0].exp()) + loss_of(h * averages[1].exp());
                    },
                    averages};
  });
}

// Its running statistics are arguments four to seven, and written.
ZooModel fake_quantization() {
  return zoo_model("FakeQuantization", [] {
    const auto w = weight({16, 16}), on = torch::ones({1}, at::kLong);
    const std::vector<at::Tensor> state = {torch::zeros({1}), torch::zeros({1}), torch::ones({1}),
                                           torch::zeros({1}, at::kInt)};
    const auto x = normal({8, 16});
    return ZooParts{{w},
                    [=](int step) {
                      auto low = state[0], high = state[1], scale = state[2], zero = state[3];
                      const auto h = torch::fused_moving_avg_obs_fake_quant(
                          x(step).mm(w).tanh(), on, on, low, high, scale, zero, 0.01, 0, 255, 0);
                      return loss_of(h.mm(w)) +
                             loss_of(torch::fake_quantize_per_tensor_affine(h, 0.1, 3, 0, 63) * h);
                    },
                    state};
  });
}

// A parameter that the forward itself projects, as weight clipping does.
ZooModel clipped_weights() {
  return zoo_model("WeightsClippedByTheForward", [] {
    const auto w = weight({16, 16});
    const auto x = normal({8, 16});
    return ZooParts{{w}, [=](int step) {
                      {
                        const torch::NoGradGuard no_grad;
                        at::Tensor(w).clamp_(-0.5, 0.5);
                      }
                      auto h = x(step);
                      for (int i = 0; i < 6; ++i) h = h.mm(w).tanh();
                      return loss_of(h);
                    }};
  });
}

}  // namespace

std::vector<ZooModel> zoo_in_place() {
  return {writes("InPlaceUnary", unary),
          writes("InPlaceArithmetic", arithmetic),
          writes("InPlaceIndexed", indexed),
          writes("InPlaceThroughViews", through_views),
          writes("InPlaceRandom", random),
          chain(),
          cache(),
          partly_written(),
          out_variants(),
          exchanged_storage(),
          moving_average(),
          lists(),
          fake_quantization(),
          clipped_weights()};
}

}  // namespace remat::testing
