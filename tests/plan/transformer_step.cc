#include "tests/plan/transformer_step.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace remat::testing {
namespace {

constexpr std::int64_t kFloat = 4;  // bytes
constexpr std::int64_t kMask = 1;
constexpr std::int64_t kCopiesOfParameters = 4;  // with gradients and Adam's moments
constexpr std::int64_t kFlopsPerNs = 10'000;
constexpr std::int64_t kBytesPerNs = 500;
constexpr std::int64_t kLeastNs = 5'000;

// `batch` products of a rows x inner and an inner x columns matrix.
struct Product {
  std::int64_t batch = 1;
  std::int64_t rows = 0;
  std::int64_t inner = 0;
  std::int64_t columns = 0;
};

struct Normalized {
  ValueId output{};
  ValueId statistics{};
};

struct Dropped {
  ValueId output{};
  ValueId mask{};
};

// What backward needs of one part of attention.
struct Attended {
  ValueId query{}, key{}, value{};
  ValueId weights{};
  Dropped dropped;
  ValueId output{};
};

// The inner values of x * (1 + tanh(c * (x + 0.044715 x^3))) / 2.
struct Gelu {
  ValueId input{}, tanh{}, tanh_plus_one{}, half{}, output{};
};

struct Block {
  ValueId input{};
  Normalized before_attention;
  std::vector<Attended> parts;
  ValueId context{};
  ValueId attention_mask{};
  ValueId middle{};
  Normalized before_mlp;
  Gelu gelu;
  ValueId mlp_mask{};
  ValueId output{};
};

class DecoderStep {
 public:
  explicit DecoderStep(const DecoderSizes& sizes)
      : sizes_(sizes),
        tokens_(sizes.batch * sizes.tokens),
        activation_(tokens_ * sizes.width * kFloat) {}

  OpGraph make() {
    graph_.name = "decoder";
    graph_.device = "none";
    graph_.fixed = Bytes(parameters() * kFloat * kCopiesOfParameters);
    auto x = pointwise("embedding", {}, activation_);
    std::vector<Block> blocks;
    for (std::int64_t i = 0; i < sizes_.blocks; ++i) {
      blocks.push_back(block(x));
      x = blocks.back().output;
    }
    auto gradient = loss(x);
    for (; !blocks.empty(); blocks.pop_back()) gradient = block_backward(blocks.back(), gradient);
    accumulate(pointwise("embedding_backward", {gradient}, embedding_bytes()));
    return std::move(graph_);
  }

 private:
  std::int64_t parameters() const {
    const auto of_block = 12 * sizes_.width * sizes_.width + 13 * sizes_.width;
    return sizes_.blocks * of_block + sizes_.vocabulary * sizes_.width + 2 * sizes_.width;
  }
  std::int64_t embedding_bytes() const { return sizes_.vocabulary * sizes_.width * kFloat; }

  // ---- ops ----------------------------------------------------------------------------------------

  ValueId value(std::int64_t bytes) {
    const ValueId id{static_cast<std::int64_t>(graph_.values.size())};
    graph_.values.push_back({id, Bytes(bytes), {}});
    return id;
  }

  std::int64_t bytes_of(const std::vector<ValueId>& values) const {
    std::int64_t sum = 0;
    for (const auto id : values) sum += graph_.values[static_cast<std::size_t>(id)].bytes.count();
    return sum;
  }

  GraphOp& op(const char* name, std::vector<ValueId> reads, std::vector<ValueId> writes,
              std::int64_t flops = 0) {
    GraphOp op;
    op.id = OpId{static_cast<std::int64_t>(graph_.ops.size())};
    op.name = name;
    op.phase = phase_;
    const auto moved = bytes_of(reads) + bytes_of(writes);
    const auto ns = std::max({kLeastNs, flops / kFlopsPerNs, moved / kBytesPerNs});
    const auto per_mille = 970 + static_cast<std::int64_t>(random_() % 61);
    op.time = std::chrono::nanoseconds(ns * per_mille / 1000);
    op.reads = std::move(reads);
    op.writes = std::move(writes);
    graph_.ops.push_back(std::move(op));
    return graph_.ops.back();
  }

  ValueId pointwise(const char* name, std::vector<ValueId> reads, std::int64_t bytes) {
    return op(name, std::move(reads), {value(bytes)}).writes.front();
  }
  // As large as the first value that is read.
  ValueId pointwise(const char* name, const std::vector<ValueId>& reads) {
    return pointwise(name, reads, bytes_of({reads.front()}));
  }

  ValueId product(const char* name, std::vector<ValueId> reads, const Product& of) {
    const auto result = value(of.batch * of.rows * of.columns * kFloat);
    const auto flops = 2 * of.batch * of.rows * of.inner * of.columns;
    return op(name, std::move(reads), {result}, flops).writes.front();
  }

  Normalized layer_norm(ValueId x) {
    const Normalized result{value(activation_), value(2 * tokens_ * kFloat)};
    op("layer_norm", {x}, {result.output, result.statistics});
    return result;
  }

  Dropped dropout(ValueId x) {
    const auto mask = value(bytes_of({x}) / kFloat * kMask);
    op("bernoulli", {}, {mask}).recompute = Recompute::kRng;
    return {pointwise("dropout", {x, mask}), mask};
  }

  // ---- forward ------------------------------------------------------------------------------------

  Product linear(std::int64_t inner, std::int64_t columns) const {
    return {1, tokens_, inner * sizes_.width, columns * sizes_.width};
  }

  Block block(ValueId x) {
    Block made;
    made.input = x;
    made.before_attention = layer_norm(x);
    const auto qkv = product("addmm", {made.before_attention.output}, linear(1, 3));
    std::vector<ValueId> outputs;
    for (std::int64_t i = 0; i < sizes_.attention_parts; ++i) {
      made.parts.push_back(attend(qkv));
      outputs.push_back(made.parts.back().output);
    }
    made.context = pointwise("merge_heads", outputs, activation_);
    const auto attention = dropout(product("addmm", {made.context}, linear(1, 1)));
    made.attention_mask = attention.mask;
    made.middle = pointwise("add", {x, attention.output});
    made.before_mlp = layer_norm(made.middle);
    made.gelu = gelu(product("addmm", {made.before_mlp.output}, linear(1, 4)));
    const auto mlp = dropout(product("addmm", {made.gelu.output}, linear(4, 1)));
    made.mlp_mask = mlp.mask;
    made.output = pointwise("add", {made.middle, mlp.output});
    return made;
  }

  Product scores() const {
    const auto of_head = sizes_.width / sizes_.heads;
    const auto batch = sizes_.batch * sizes_.heads / sizes_.attention_parts;
    return {batch, sizes_.tokens, of_head, sizes_.tokens};
  }
  Product weighted_sum() const {
    const auto of = scores();
    return {of.batch, of.rows, of.columns, of.inner};
  }

  Attended attend(ValueId qkv) {
    const auto bytes = activation_ / sizes_.attention_parts;
    Attended made;
    made.query = pointwise("split_heads", {qkv}, bytes);
    made.key = pointwise("split_heads", {qkv}, bytes);
    made.value = pointwise("split_heads", {qkv}, bytes);
    const auto raw = product("bmm", {made.query, made.key}, scores());
    const auto masked = pointwise("masked_fill", {pointwise("mul", {raw})});
    made.weights = pointwise("softmax", {masked});
    made.dropped = dropout(made.weights);
    made.output = product("bmm", {made.dropped.output, made.value}, weighted_sum());
    return made;
  }

  Gelu gelu(ValueId x) {
    Gelu made;
    made.input = x;
    const auto cubic = pointwise("mul", {pointwise("pow", {x})});
    const auto inner = pointwise("mul", {pointwise("add", {x, cubic})});
    made.tanh = pointwise("tanh", {inner});
    made.tanh_plus_one = pointwise("add", {made.tanh});
    made.half = pointwise("mul", {x});
    made.output = pointwise("mul", {made.half, made.tanh_plus_one});
    return made;
  }

  // Ends forward; the gradient of what the last block made.
  ValueId loss(ValueId x) {
    const Product logits{1, tokens_, sizes_.width, sizes_.vocabulary};
    const auto normalized = layer_norm(x);
    const auto log_softmax = pointwise("log_softmax", {product("mm", {normalized.output}, logits)});
    const auto loss = pointwise("nll_loss", {log_softmax}, kFloat);
    phase_ = Phase::kBackward;
    const auto of_loss =
        pointwise("nll_loss_backward", {loss, log_softmax}, bytes_of({log_softmax}));
    const auto of_logits = pointwise("log_softmax_backward", {of_loss, log_softmax});
    const auto gradient = product("mm", {of_logits}, {1, tokens_, sizes_.vocabulary, sizes_.width});
    accumulate(product("mm", {of_logits, normalized.output},
                       {1, sizes_.vocabulary, tokens_, sizes_.width}));
    return layer_norm_backward(gradient, x, normalized);
  }

  // ---- backward -----------------------------------------------------------------------------------

  // Into what the step's earlier batches left: nothing else may read it.
  void accumulate(ValueId gradient) { op("add_", {gradient}, {}).recompute = Recompute::kNever; }

  ValueId layer_norm_backward(ValueId gradient, ValueId x, const Normalized& saved) {
    const auto of_x = value(activation_);
    const auto of_weight = value(sizes_.width * kFloat);
    const auto of_bias = value(sizes_.width * kFloat);
    op("layer_norm_backward", {gradient, x, saved.statistics}, {of_x, of_weight, of_bias});
    accumulate(of_weight);
    accumulate(of_bias);
    return of_x;
  }

  // `forward`: what the forward product was.
  ValueId linear_backward(ValueId gradient, ValueId input, const Product& forward) {
    accumulate(pointwise("sum", {gradient}, forward.columns * kFloat));
    accumulate(product("mm", {gradient, input}, {1, forward.inner, forward.rows, forward.columns}));
    return product("mm", {gradient}, {1, forward.rows, forward.columns, forward.inner});
  }

  ValueId gelu_backward(ValueId gradient, const Gelu& saved) {
    const auto of_half = pointwise("mul", {gradient, saved.tanh_plus_one});
    const auto of_tanh = pointwise("mul", {gradient, saved.half});
    const auto of_inner = pointwise("tanh_backward", {of_tanh, saved.tanh});
    const auto of_sum = pointwise("mul", {of_inner});
    const auto direct = pointwise("add", {pointwise("mul", {of_half}), of_sum});
    const auto of_cube = pointwise("pow_backward", {pointwise("mul", {of_sum}), saved.input});
    return pointwise("add", {direct, of_cube});
  }

  // The gradients of query, key and value.
  std::vector<ValueId> attend_backward(ValueId of_context, const Attended& saved) {
    const auto gradient =
        pointwise("split_heads", {of_context}, activation_ / sizes_.attention_parts);
    const auto of_dropped = product("bmm", {gradient, saved.value}, scores());
    const auto of_value = product("bmm", {gradient, saved.dropped.output}, weighted_sum());
    const auto of_weights = pointwise("mul", {of_dropped, saved.dropped.mask});
    const auto of_masked = pointwise("softmax_backward", {of_weights, saved.weights});
    const auto of_raw = pointwise("mul", {pointwise("masked_fill", {of_masked})});
    const auto of_query = product("bmm", {of_raw, saved.key}, weighted_sum());
    const auto of_key = product("bmm", {of_raw, saved.query}, weighted_sum());
    return {of_query, of_key, of_value};
  }

  ValueId attention_backward(ValueId of_context, const Block& saved) {
    std::vector<ValueId> gradients;
    for (const auto& part : saved.parts) {
      const auto of_part = attend_backward(of_context, part);
      gradients.insert(gradients.end(), of_part.begin(), of_part.end());
    }
    return pointwise("merge_heads", gradients, 3 * activation_);
  }

  ValueId block_backward(const Block& saved, ValueId gradient) {
    auto inner = pointwise("mul", {gradient, saved.mlp_mask});
    inner = linear_backward(inner, saved.gelu.output, linear(4, 1));
    inner = gelu_backward(inner, saved.gelu);
    inner = linear_backward(inner, saved.before_mlp.output, linear(1, 4));
    inner = layer_norm_backward(inner, saved.middle, saved.before_mlp);
    const auto of_middle = pointwise("add", {gradient, inner});
    inner = pointwise("mul", {of_middle, saved.attention_mask});
    inner = linear_backward(inner, saved.context, linear(1, 1));
    inner = attention_backward(inner, saved);
    inner = linear_backward(inner, saved.before_attention.output, linear(1, 3));
    inner = layer_norm_backward(inner, saved.input, saved.before_attention);
    return pointwise("add", {of_middle, inner});
  }

  const DecoderSizes sizes_;
  const std::int64_t tokens_;      // of all sequences
  const std::int64_t activation_;  // bytes of what blocks pass on
  Phase phase_ = Phase::kForward;
  std::mt19937_64 random_{1};
  OpGraph graph_;
};

}  // namespace

OpGraph transformer_step(const DecoderSizes& sizes) { return DecoderStep(sizes).make(); }

}  // namespace remat::testing
