#include "models/blockwise_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <remat/error.h>

#include "base/check.h"
#include "torch_bridge/thread_state.h"

namespace remat::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// What is summed up over blocks.
c10::ScalarType sum_type(c10::ScalarType type) {
  return type == torch::kHalf || type == torch::kBFloat16 ? torch::kFloat : type;
}

// The sizes of a call. Batch and key heads become one dimension, N = B G; the R = H / G query heads
// that share keys and values become rows of one matrix, so that bmm does the sharing.
struct Shape {
  Shape(const at::Tensor& q, const at::Tensor& k, std::int64_t block_size)
      : batches(q.size(0) * k.size(1)),
        shared(q.size(1) / k.size(1)),
        time(q.size(2)),
        channels(q.size(3)),
        block(block_size),
        scale(1.0 / std::sqrt(static_cast<double>(channels))) {}

  at::Tensor grouped(const at::Tensor& queries) const {  // (B, H, T, D) -> (N, R, T, D)
    return queries.reshape({batches, shared, time, channels});
  }
  at::Tensor flat(const at::Tensor& keys) const {  // (B, G, T, D) -> (N, T, D)
    return keys.reshape({batches, time, channels});
  }

  std::int64_t batches;
  std::int64_t shared;
  std::int64_t time;
  std::int64_t channels;
  std::int64_t block;
  double scale;
};

// Positions [begin, end).
struct Span {
  std::int64_t begin;
  std::int64_t end;

  std::int64_t size() const { return end - begin; }
  at::Tensor of_keys(const at::Tensor& keys) const { return keys.slice(1, begin, end); }
  // (N, R, T, ...) -> (N, R size, ...)
  at::Tensor of_queries(const at::Tensor& grouped) const {
    return grouped.slice(2, begin, end).flatten(1, 2);
  }
};

template <class Visit>
void for_each_span(const Shape& shape, std::int64_t end, Visit visit) {
  for (std::int64_t begin = 0; begin < end; begin += shape.block) {
    visit(Span{begin, std::min(begin + shape.block, end)});
  }
}

// a b, in the type of sums.
at::Tensor product(const at::Tensor& a, const at::Tensor& b) {
  return a.to(b.scalar_type()).bmm(b).to(sum_type(b.scalar_type()));
}

// The scores of some queries (N, R size, D) with some keys (N, size, D). Keys of later blocks are not
// asked for; in the block on the diagonal each query sees the keys up to its own position.
at::Tensor scores_of(const at::Tensor& queries, const at::Tensor& keys, const Shape& shape,
                     bool diagonal) {
  auto scores = product(queries, keys.transpose(1, 2)).mul_(shape.scale);
  if (diagonal) {
    const auto size = keys.size(1);
    const auto future =
        at::ones({size, size}, scores.options().dtype(torch::kBool)).triu_(/*diagonal=*/1);
    scores.view({shape.batches, shape.shared, size, size})
        .masked_fill_(future, -std::numeric_limits<double>::infinity());
  }
  return scores;
}

// Softmax over keys that come block by block: Dao et al. 2022, section 3.1, "softmax with scaling".
class OnlineSoftmax {
 public:
  explicit OnlineSoftmax(const at::Tensor& queries)
      : weighted_(
            at::zeros_like(queries, queries.options().dtype(sum_type(queries.scalar_type())))),
        sum_(weighted_.new_zeros({queries.size(0), queries.size(1), 1})),
        max_(at::full_like(sum_, -std::numeric_limits<double>::infinity())) {}

  // Every row has at least one score that is not masked, in its first block already.
  void add(at::Tensor scores, const at::Tensor& values) {
    const auto max = at::maximum(max_, scores.amax(-1, /*keepdim=*/true));
    const auto shrink = (max_ - max).exp_();
    const auto weights = scores.sub_(max).exp_();
    sum_.mul_(shrink).add_(weights.sum(-1, /*keepdim=*/true));
    weighted_.mul_(shrink).add_(product(weights, values));
    max_ = max;
  }

  at::Tensor result() const { return weighted_ / sum_; }
  at::Tensor log_sum_exp() const { return max_ + sum_.log(); }

 private:
  at::Tensor weighted_;  // sum of exp(score - max_) value
  at::Tensor sum_;       // sum of exp(score - max_)
  at::Tensor max_;
};

class BlockwiseAttention : public torch::autograd::Function<BlockwiseAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q, const at::Tensor& k,
                            const at::Tensor& v, std::int64_t block) {
    const torch_bridge::NoAutocastGuard no_autocast;
    const Shape shape(q, k, block);
    const auto queries = shape.grouped(q);
    const auto keys = shape.flat(k);
    const auto values = shape.flat(v);
    const auto result = at::empty(q.sizes(), q.options());
    const auto grouped_result = shape.grouped(result);  // a view: it is contiguous
    const auto log_sum_exp = at::empty({shape.batches, shape.shared, shape.time, 1},
                                       q.options().dtype(sum_type(q.scalar_type())));
    for_each_span(shape, shape.time, [&](Span rows) {
      const auto some_queries = rows.of_queries(queries);
      OnlineSoftmax softmax(some_queries);
      for_each_span(shape, rows.end, [&](Span columns) {
        softmax.add(
            scores_of(some_queries, columns.of_keys(keys), shape, columns.begin == rows.begin),
            columns.of_keys(values));
      });
      const auto put = [&](const at::Tensor& all, const at::Tensor& some) {
        all.slice(2, rows.begin, rows.end)
            .copy_(some.view({shape.batches, shape.shared, rows.size(), -1}));
      };
      put(grouped_result, softmax.result());
      put(log_sum_exp, softmax.log_sum_exp());
    });
    context->saved_data["block"] = block;
    context->save_for_backward({q, k, v, result, log_sum_exp});
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    REMAT_CHECK(!c10::GradMode::is_enabled(), Error,
                "backward of efficient attention cannot itself be differentiated (create_graph); "
                "use --attention materialized");
    const torch_bridge::NoAutocastGuard no_autocast;
    const auto saved = context->get_saved_variables();
    const Shape shape(saved[0], saved[1], context->saved_data["block"].toInt());
    return Backward(shape, saved, gradients[0]).run();
  }

 private:
  // Algorithm 4: with the weights P made again from the kept sums, and D the sums of dO O over a row,
  // dV = P^T dO, dS = P (dO V^T - D), dQ = dS K, dK = dS^T Q, all scaled.
  class Backward {
   public:
    Backward(const Shape& shape, const variable_list& saved, const at::Tensor& gradient)
        : shape_(shape),
          saved_(saved),
          queries_(shape.grouped(saved[0])),
          keys_(shape.flat(saved[1])),
          values_(shape.flat(saved[2])),
          log_sum_exp_(saved[4]),
          d_result_(shape.grouped(gradient)),
          row_sums_((d_result_ * shape.grouped(saved[3]))
                        .sum(-1, /*keepdim=*/true, sum_type(gradient.scalar_type()))),
          d_keys_(zero_sums(keys_)),
          d_values_(zero_sums(values_)),
          d_queries_(at::empty(queries_.sizes(), queries_.options())) {}

    variable_list run() {
      for_each_span(shape_, shape_.time, [this](Span rows) { add_rows(rows); });
      const auto as = [](const at::Tensor& sums, const at::Tensor& like) {
        return sums.to(like.scalar_type()).view(like.sizes());
      };
      return {as(d_queries_, saved_[0]), as(d_keys_, saved_[1]), as(d_values_, saved_[2]),
              at::Tensor()};
    }

   private:
    static at::Tensor zero_sums(const at::Tensor& like) {
      return at::zeros(like.sizes(), like.options().dtype(sum_type(like.scalar_type())));
    }

    void add_rows(Span rows) {
      const auto queries = rows.of_queries(queries_);
      const auto d_result = rows.of_queries(d_result_);
      const auto log_sum_exp = rows.of_queries(log_sum_exp_);
      const auto row_sums = rows.of_queries(row_sums_);
      auto d_queries = zero_sums(queries);
      for_each_span(shape_, rows.end, [&](Span columns) {
        const auto keys = columns.of_keys(keys_);
        const auto weights =
            scores_of(queries, keys, shape_, columns.begin == rows.begin).sub_(log_sum_exp).exp_();
        columns.of_keys(d_values_).add_(product(weights.transpose(1, 2), d_result));
        const auto d_scores = product(d_result, columns.of_keys(values_).transpose(1, 2))
                                  .sub_(row_sums)
                                  .mul_(weights)
                                  .mul_(shape_.scale);
        columns.of_keys(d_keys_).add_(product(d_scores.transpose(1, 2), queries));
        d_queries.add_(product(d_scores, keys));
      });
      d_queries_.slice(2, rows.begin, rows.end)
          .copy_(d_queries.view({shape_.batches, shape_.shared, rows.size(), -1}));
    }

    const Shape& shape_;
    const variable_list& saved_;
    at::Tensor queries_;
    at::Tensor keys_;
    at::Tensor values_;
    at::Tensor log_sum_exp_;
    at::Tensor d_result_;
    at::Tensor row_sums_;
    at::Tensor d_keys_;
    at::Tensor d_values_;
    at::Tensor d_queries_;
  };
};

}  // namespace

at::Tensor blockwise_causal_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                      std::int64_t block) {
  return BlockwiseAttention::apply(q, k, v, block);
}

}  // namespace remat::models
