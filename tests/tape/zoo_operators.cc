// The zoo's mixes of operators that only read: dtypes, shapes, many results, shared values.
#include <tuple>

#include "tests/tape/zoo_making.h"
#include "tests/testing/torch_versions.h"
#include "torch_bridge/fused_attention.h"

namespace remat::testing {
namespace {

ZooModel spectral() {
  return operator_mix("Spectral", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w);
    const auto f = torch::fft::rfft(h);
    const auto y = torch::fft::irfft(f * f.conj(), 16);
    const auto both = torch::fft::fft2(torch::complex(h, y) * 0.02).conj();
    return loss_of(y.mm(w)) + loss_of(at::real(both * both.resolve_conj().cos())) +
           loss_of(torch::view_as_real(both.resolve_conj()).select(2, 1));
  });
}

ZooModel complex_parameters() {
  return zoo_model("ComplexParameters", [] {
    const auto w = (torch::randn({8, 8}, at::kComplexFloat) * 0.3).requires_grad_();
    const auto v = weight({8, 8, 2});
    const auto x = normal({6, 8});
    return ZooParts{{w, v}, [=](int step) {
                      const auto z =
                          x(step).to(at::kComplexFloat).mm(w) * torch::complex(x(step), x(step));
                      const auto y = z.mm(torch::view_as_complex(v).conj().t());
                      return loss_of(y.abs() + at::imag(y) * at::angle(z + 2));
                    }};
  });
}

ZooModel sorted() {
  return operator_mix("SortTopkGatherScan", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w);
    const auto s = std::get<0>(h.sort(1)), t = std::get<0>(torch::topk(h, 4, 1));
    const auto z = s.cumsum(1) + h.gather(1, torch::randint(16, {8, 16}, at::kLong));
    const auto low =
        std::get<0>(h.min(1)) + std::get<0>(h.median(1)) + std::get<0>(h.kthvalue(3, 1));
    return loss_of(z.mm(w)) + t.prod(1).mean() + loss_of(low) + h.logcumsumexp(1).mean() +
           std::get<0>(h.cummax(1)).mean() + h.cumprod(1).mean() + h.amax(1).mean();
  });
}

ZooModel linear_algebra() {
  return operator_mix("LinearAlgebra", [](const at::Tensor& x, const at::Tensor& w) {
    const auto a = w.mm(w.t()) + 16 * torch::eye(16);
    const auto lower = at::linalg_cholesky(a), inverse = at::linalg_inv(a);
    const auto y = torch::einsum("ij,jk,kl->il", {x, inverse, lower});
    const auto solved = at::linalg_solve(a, y.t());
    return loss_of(y) + at::logdet(a) * 1e-3 + loss_of(solved) + at::linalg_det(a / 16) +
           at::linalg_matrix_norm(inverse) + loss_of(std::get<1>(at::linalg_qr(a)));
  });
}

ZooModel diamond() {
  return operator_mix("DiamondsOfPieces", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).tanh();
    const auto p = h.chunk(4, 1);
    const auto q = torch::cat({p[3] * p[0], p[1].exp(), p[2].sin(), p[0]}, 1);
    const auto u = q.unbind(0);
    const auto r = torch::stack({u[0] * u[1], u[2] + u[3]});
    const auto s = (h * 2).unsafe_split(3, 0);
    s[0].mul_(0.5);
    s[1].sigmoid_();
    const auto v = (h * 3).unsafe_chunk(2, 1);
    return loss_of(r.mm(w)) + h.mean() + loss_of(s[0] * s[1] + v[0].slice(0, 0, 3).sum()) +
           loss_of(s[2].mm(w)) + loss_of(h.split_with_sizes({5, 11}, 1)[1] * v[1].sum());
  });
}

ZooModel many_views() {
  return operator_mix("Views", [](const at::Tensor& x, const at::Tensor& w) {
    const auto h = x.mm(w).tanh();
    const auto t = h.view({8, 4, 4}).transpose(1, 2).unflatten(0, {2, 4}).permute({3, 0, 2, 1});
    const auto u = t.reshape({4, -1}).expand({3, 4, 32}).diagonal(0, 1, 2);
    const auto a = h.as_strided({5, 3}, {16, 2}, 4) *
                   h.unfold(1, 4, 4).select(2, 1).slice(0, 0, 5).slice(1, 0, 3);
    const auto b =
        h.flip({1}).movedim(0, 1).squeeze().unsqueeze(1).repeat({1, 2, 1}).tile({1, 1, 2});
    const auto c = torch::broadcast_tensors({h.narrow(0, 3, 1), h})[0] * h.narrow(1, 0, 16);
    return loss_of(u.sin() * u) + loss_of(a) + loss_of(b.exp()) + loss_of(c) +
           loss_of(h.index({torch::tensor({0, 3, 3}), torch::tensor({1, 1, 2})})) +
           loss_of(h.masked_select(h > 0)) +
           loss_of(
               h.repeat_interleave(2, 0).take_along_dim(std::get<1>(h.sort(1)).repeat({2, 1}), 1)) +
           loss_of(h.diag_embed().triu(1).rot90(1, {1, 2}));
  });
}

ZooModel attention() {
  return zoo_model("ScaledDotProductAttention", [] {
    const auto w = weight({8, 8});
    const auto q = normal({2, 4, 16, 8});
    return ZooParts{{w}, [=](int step) {
                      const auto k = q(step).matmul(w).tanh();
                      const auto fused = torch_bridge::fused_causal_attention(k, q(step), k);
                      auto p = (k.matmul(q(step).transpose(2, 3)) / 3).softmax(-1);
                      const auto y = torch::dropout(p, 0.1, true).matmul(k);
                      return loss_of((fused ? y + *fused : y).matmul(w));
                    }};
  });
}

ZooModel doubles() {
  return zoo_model("Doubles", [] {
    const auto w = torch::randn({16, 16}, at::kDouble).mul_(0.3).requires_grad_();
    const auto x = normal({8, 16});
    return ZooParts{{w}, [=](int step) {
                      const auto h = torch::gelu(x(step).to(at::kDouble).mm(w));
                      const auto y = torch::layer_norm(h, {16}).to(at::kFloat).softmax(1);
                      return loss_of(y.to(at::kDouble).mm(w)) + loss_of(h.to(at::kBFloat16).cos());
                    }};
  });
}

ZooModel autocast() {
  return operator_mix("AutocastManyResults", [](const at::Tensor& x, const at::Tensor& w) {
    const CpuAutocast scope;
    auto h = x.mm(w).tanh();
    h = torch::linear(h, w).relu() + torch::matmul(h, w);
    const auto parts = torch::linear(h, w).chunk(2, 1);
    const auto y = torch::dropout(parts[0] * parts[1].sigmoid(), 0.1, true);
    return loss_of(y.to(at::kFloat)) + loss_of(torch::layer_norm(h, {16}).to(at::kFloat).mm(w));
  });
}

ZooModel corner_shapes() {
  return zoo_model("ScalarsAndEmptyTensors", [] {
    const auto w = weight({16, 16}), scale = weight({}), unused = weight({0, 3});
    const auto x = normal({8, 16});
    return ZooParts{{w, scale, unused}, [=](int step) {
                      const auto none = x(step).slice(0, 0, 0).mm(w).tanh();
                      const auto all = torch::cat({none, x(step).mm(w).sin(), none});
                      const auto one = all.select(0, 0).select(0, 0) * scale.exp();
                      const auto hollow = torch::cat({unused.exp() * 2, torch::ones({1, 3})});
                      return loss_of(all * one) + one.tanh() + none.sum() + loss_of(hollow * scale);
                    }};
  });
}

ZooModel shared() {
  return zoo_model("SharedWeights", [] {
    const auto w = weight({16, 16}), tied = weight({20, 16});
    const auto ids = below(20, {8});
    return ZooParts{{w, tied}, [=](int step) {
                      auto h = torch::embedding(tied, ids(step));
                      for (int i = 0; i < 6; ++i) h = h + torch::gelu(h.mm(w)).mm(w.t());
                      return torch::nn::functional::cross_entropy(h.mm(tied.t()), ids(step));
                    }};
  });
}

ZooModel sparse_matrix() {
  return operator_mix("SparseMatrix", [](const at::Tensor& x, const at::Tensor& w) {
    const auto cells = torch::stack({torch::arange(8), torch::arange(8) * 2});
    const auto s = torch::sparse_coo_tensor(cells, torch::ones({8}), {8, 16}).coalesce();
    return loss_of(torch::mm(s, w).tanh().mm(w) * x);
  });
}

ZooModel opaque() {
  return zoo_model("OpaqueTensors", [] {
    const auto w = weight({8, 4, 3, 3});
    const auto images = normal({2, 4, 8, 8});
    return ZooParts{{w}, [=](int step) {
                      const auto h = torch::conv2d(images(step), w, {}, 1, 1);
                      return loss_of(at::relu(h.to_mkldnn()).to_dense().sin());
                    }};
  });
}

}  // namespace

std::vector<ZooModel> zoo_operators() {
  return {spectral(),   complex_parameters(), sorted(),  linear_algebra(), diamond(),
          many_views(), attention(),          doubles(), autocast(),       corner_shapes(),
          shared(),     sparse_matrix(),      opaque()};
}

}  // namespace remat::testing
