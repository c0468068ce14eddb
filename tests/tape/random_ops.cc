#include "tests/tape/random_ops.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <torch/torch.h>

#include <remat/checkpoint.h>

#include "tests/testing/choices.h"

namespace remat::testing {
namespace {

using at::Tensor;

constexpr std::int64_t kMostElements = 600;
constexpr std::int64_t kMostDims = 4;
constexpr std::size_t kMostValues = 12;  // at a time: what no one holds may be dropped

// Roughly the largest magnitude of an element, so that nothing becomes infinite. Of a result: from that of
// the input, b, and the size n of the dimension that is worked on.
using Bound = double (*)(double b, double n);
double one(double /*b*/, double /*n*/) { return 1; }
double same(double b, double /*n*/) { return b; }
double next(double b, double /*n*/) { return b + 5; }
double twice(double b, double /*n*/) { return 2 * b; }
double square(double b, double /*n*/) { return b * b; }
double times(double b, double n) { return b * n; }

// ---- what there is ---------------------------------------------------------------------------------

struct UnaryOp {
  const char* name;
  Tensor (*apply)(const Tensor& x, std::int64_t d);  // d: a dimension of x, which has one
  Bound bound;
  double largest = 1e3;  // bound of x
};

bool may_grow(const Tensor& x) { return 2 * x.numel() <= kMostElements && x.dim() < kMostDims; }

Tensor expanded(const Tensor& x, std::int64_t d) {
  if (!may_grow(x)) return x.mean(d);
  auto sizes = x.sizes().vec();
  sizes.insert(sizes.begin() + d, 2);
  return x.unsqueeze(d).expand(sizes);
}

Tensor every_second(const Tensor& x, std::int64_t d) {
  const auto n = x.size(d);
  return x.index_select(d, torch::arange((n + 1) / 2).mul(2).remainder(n));
}

Tensor filled_piece_by_piece(const Tensor& x, bool fresh) {
  const auto y = fresh ? torch::empty_like(x) : torch::zeros_like(x);
  y.slice(0, 0, 1).copy_(x.slice(0, -1));
  y.slice(0, 1).copy_(x.slice(0, 1).sin());
  return y;
}

Tensor in_a_region(const Tensor& x) {
  const auto fn = [](const Tensor& y) { return torch::dropout(y.sin() * y, 0.2, true).sigmoid(); };
  return checkpoint(fn, x);
}

const UnaryOp kUnary[] = {
    {"tanh", [](const Tensor& x, auto) { return x.tanh(); }, one},
    {"sin", [](const Tensor& x, auto) { return x.sin(); }, one},
    {"sigmoid", [](const Tensor& x, auto) { return x.sigmoid(); }, one},
    {"gelu", [](const Tensor& x, auto) { return torch::gelu(x); }, same},
    {"relu", [](const Tensor& x, auto) { return x.relu(); }, same},
    {"silu", [](const Tensor& x, auto) { return torch::silu(x); }, same},
    {"softplus", [](const Tensor& x, auto) { return torch::softplus(x); }, next},
    {"abs", [](const Tensor& x, auto) { return x.abs(); }, same},
    {"square", [](const Tensor& x, auto) { return x * x; }, square, 30},
    {"exp", [](const Tensor& x, auto) { return x.exp(); }, [](double, double) { return 8.0; }, 2},
    {"softmax", [](const Tensor& x, auto d) { return x.softmax(d); }, one},
    {"log_softmax", [](const Tensor& x, auto d) { return x.log_softmax(d); }, twice},
    {"layer_norm", [](const Tensor& x, auto) { return torch::layer_norm(x, {x.size(-1)}); }, next,
     30},
    {"sum", [](const Tensor& x, auto d) { return x.sum(d); }, times, 100},
    {"mean", [](const Tensor& x, auto d) { return x.mean(d, true); }, same},
    {"amax", [](const Tensor& x, auto d) { return x.amax(d, true); }, same},
    {"max", [](const Tensor& x, auto d) { return std::get<0>(x.max(d, true)); }, same},
    {"cumsum", [](const Tensor& x, auto d) { return x.cumsum(d); }, times, 30},
    {"masked_fill", [](const Tensor& x, auto) { return x.masked_fill(x > 0.5, 0.25); }, same},
    {"where", [](const Tensor& x, auto) { return torch::where(x > 0, x, x.sin()); }, same},
    {"index_select", every_second, same},
    {"gather", [](const Tensor& x, auto d) { return x.gather(d, x.detach().argsort(d)); }, same},
    {"dropout", [](const Tensor& x, auto) { return torch::dropout(x, 0.3, true); }, twice},
    {"add_noise", [](const Tensor& x, auto) { return x + torch::randn_like(x); }, next},
    {"rrelu", [](const Tensor& x, auto) { return torch::rrelu(x, 0.1, 0.4, true); }, same},
    {"mul_bernoulli",
     [](const Tensor& x, auto) { return x * torch::empty_like(x).bernoulli_(0.7); }, same},
    {"to_double", [](const Tensor& x, auto) { return x.to(at::kDouble); }, same},
    {"to_bfloat16", [](const Tensor& x, auto) { return x.to(at::kBFloat16); }, same},
    {"through_bfloat16", [](const Tensor& x, auto) { return x.to(at::kBFloat16).to(at::kFloat); },
     same},
    {"region", [](const Tensor& x, auto) { return in_a_region(x); }, one, 30},
    {"filled_empty", [](const Tensor& x, auto) { return filled_piece_by_piece(x, true); }, same},
    {"filled_zeros", [](const Tensor& x, auto) { return filled_piece_by_piece(x, false); }, same},
    {"repeat",
     [](const Tensor& x, auto d) {
       return may_grow(x) ? torch::cat({x, x}, d) : x.sum(d);
     },
     times, 100}};

const UnaryOp kViews[] = {
    {"transpose", [](const Tensor& x, auto d) { return x.transpose(d, 0); }, same},
    {"transpose", [](const Tensor& x, auto d) { return x.transpose(d, -1); }, same},
    {"slice", [](const Tensor& x, auto d) { return x.slice(d, x.size(d) / 3); }, same},
    {"slice_step", [](const Tensor& x, auto d) { return x.slice(d, 0, x.size(d), 2); }, same},
    {"select", [](const Tensor& x, auto d) { return x.select(d, x.size(d) - 1); }, same},
    {"reshape",
     [](const Tensor& x, auto) {
       return x.reshape({x.size(0), -1});
     },
     same},
    {"flatten", [](const Tensor& x, auto) { return x.flatten(); }, same}};

const UnaryOp kExpand = {"expand", expanded, same};

// Some of its elements are the same memory.
bool repeats(const Tensor& x) {
  for (std::int64_t d = 0; d < x.dim(); ++d) {
    if (x.size(d) > 1 && x.stride(d) == 0) return true;
  }
  return false;
}

struct BinaryOp {
  const char* name;
  Tensor (*apply)(const Tensor& x, const Tensor& y);
  double (*bound)(double a, double b);
};

double both(double a, double b) { return a + b; }
double first(double a, double /*b*/) { return a; }

const BinaryOp kBinary[] = {
    {"add", [](const Tensor& x, const Tensor& y) { return x + y; }, both},
    {"sub", [](const Tensor& x, const Tensor& y) { return torch::sub(x, y, 0.5); }, both},
    {"mul", [](const Tensor& x, const Tensor& y) { return x * y; },
     [](double a, double b) { return a * b; }},
    {"div", [](const Tensor& x, const Tensor& y) { return x / (y.abs() + 1); }, first},
    {"maximum", [](const Tensor& x, const Tensor& y) { return torch::maximum(x, y); }, both},
    {"mul_sin", [](const Tensor& x, const Tensor& y) { return x * y.sin(); }, first},
    {"mul_detached", [](const Tensor& x, const Tensor& y) { return x * y.detach().sin(); }, first}};

struct Write {
  const char* name;
  void (*apply)(Tensor& x);       // makes nothing larger than it is, or than 1
  bool saves_its_result = false;  // so that backward allows no write after it
};

const Write kWrites[] = {
    {"tanh_", [](Tensor& x) { x.tanh_(); }, true},
    {"sigmoid_", [](Tensor& x) { x.sigmoid_(); }, true},
    {"relu_", [](Tensor& x) { x.relu_(); }, true},
    {"neg_", [](Tensor& x) { x.neg_(); }},
    {"zero_", [](Tensor& x) { x.zero_(); }},
    {"mul_add_", [](Tensor& x) { x.mul_(0.5).add_(0.1); }},
    {"clamp_", [](Tensor& x) { x.clamp_(-0.5, 0.5); }},
    {"masked_fill_", [](Tensor& x) { x.masked_fill_(x > 0.5, 0.25); }},
    {"copy_", [](Tensor& x) { x.copy_(x.detach().sin()); }},
    {"mul_bernoulli_", [](Tensor& x) { x.mul_(torch::empty_like(x).bernoulli_(0.7)); }}};

// ---- what is made of it ----------------------------------------------------------------------------

struct Value {
  Tensor tensor;
  double bound;
  int number;
};

bool broadcast(const Tensor& a, const Tensor& b) {
  std::int64_t elements = 1;
  for (std::int64_t i = 1; i <= std::max(a.dim(), b.dim()); ++i) {
    const auto m = i <= a.dim() ? a.size(-i) : 1, n = i <= b.dim() ? b.size(-i) : 1;
    if (m != n && m != 1 && n != 1) return false;
    elements *= std::max(m, n);
  }
  return elements <= kMostElements;
}

// One execution. Choices are made one after another, in statements of their own: never in arguments, whose
// order is the compiler's.
class Execution {
 public:
  Execution(std::uint64_t seed, const std::vector<Tensor>& leaves)
      : choices_(seed), loss_(torch::zeros({})) {
    for (const auto& leaf : leaves) emit("leaf", leaf, 2);
  }

  RandomOps run(int count) {
    for (int i = 0; i < count; ++i) {
      one_op();
      while (values_.size() > kMostValues) retire();
    }
    while (!values_.empty()) retire();
    return {loss_, text_};
  }

 private:
  template <class Table>
  const auto& any_of(const Table& table) {
    return table[static_cast<std::size_t>(
        choices_.below(static_cast<std::int64_t>(std::size(table))))];
  }

  void one_op() {
    switch (choices_.below(16)) {
      case 0:
      case 1:
      case 2:
        return binary();
      case 3:
      case 4:
        return product();
      case 5:
        return joined();
      case 6:
        return pieces();
      case 7:
      case 8:
        return write_fresh();
      case 9:
        return choices_.one_in(2) ? write_any() : joined();
      case 10:
        return unary(choices_.one_in(4) ? kExpand : any_of(kViews));
      default:
        return unary(any_of(kUnary));
    }
  }

  // ---- values ----

  Value emit(const std::string& op, const Tensor& tensor, double bound) {
    const Value value = {tensor, bound, made_++};
    text_ += fmt::format("v{} = {}: ({}) {}\n", value.number, op, fmt::join(tensor.sizes(), ", "),
                         c10::toString(tensor.scalar_type()));
    values_.push_back(value);
    return value;
  }

  // Nobody holds it any more; every second one is part of the loss.
  void retire() {
    const auto place = choices_.below(static_cast<std::int64_t>(values_.size()));
    const auto value = values_[static_cast<std::size_t>(place)];
    values_.erase(values_.begin() + place);
    if (!choices_.one_in(2) || !value.tensor.is_floating_point()) return;
    text_ += fmt::format("loss += v{}\n", value.number);
    loss_ = loss_ + value.tensor.to(at::kFloat).tanh().mean();
  }

  // Mostly a recent one.
  Value pick() {
    const auto count = static_cast<std::int64_t>(values_.size());
    const auto range = choices_.one_in(3) ? count : std::min<std::int64_t>(count, 4);
    return values_[static_cast<std::size_t>(count - 1 - choices_.below(range))];
  }

  Value pick_where(const std::function<bool(const Tensor&)>& fits, const Value& otherwise) {
    std::vector<Value> fitting;
    for (const auto& value : values_) {
      if (fits(value.tensor)) fitting.push_back(value);
    }
    return fitting.empty() ? otherwise : any_of(fitting);
  }

  Value partner_of(const Value& a) {
    return pick_where([&](const Tensor& y) { return broadcast(a.tensor, y); }, a);
  }

  // What it is made of where it has no dimension, is in bfloat16, for which not all operators are, or large.
  Value with_dims(const Value& a) {
    if (a.tensor.dim() > 0) return a;
    return emit(fmt::format("v{}.reshape", a.number), a.tensor.reshape({1}), a.bound);
  }
  Value wide(const Value& a) {
    if (a.tensor.scalar_type() != at::kBFloat16) return a;
    return emit(fmt::format("v{}.to_float", a.number), a.tensor.to(at::kFloat), a.bound);
  }
  Value within(const Value& a, double bound) {
    if (a.bound <= bound) return a;
    return emit(fmt::format("v{}.tanh", a.number), a.tensor.tanh(), 1);
  }

  // ---- operators ----

  void unary(const UnaryOp& op) {
    const auto a = within(with_dims(wide(pick())), op.largest);
    const auto d = choices_.below(a.tensor.dim());
    const auto n = static_cast<double>(a.tensor.size(d));
    emit(fmt::format("v{}.{}({})", a.number, op.name, d), op.apply(a.tensor, d),
         op.bound(a.bound, n));
  }

  void binary() {
    const auto& op = any_of(kBinary);
    const auto a = within(pick(), 30);
    const auto b = within(partner_of(a), 30);
    emit(fmt::format("{}(v{}, v{})", op.name, a.number, b.number), op.apply(a.tensor, b.tensor),
         op.bound(a.bound, b.bound));
  }

  void product() {
    const auto a = within(pick(), 8);
    const auto fits = [&](const Tensor& y) {
      return a.tensor.dim() >= 2 && y.dim() == 2 && y.size(0) == a.tensor.size(-1) &&
             y.scalar_type() == a.tensor.scalar_type();
    };
    const auto found = pick_where(fits, a);
    if (!fits(found.tensor)) return binary();
    const auto b = within(found, 8);
    const auto bound = a.bound * b.bound * static_cast<double>(b.tensor.size(0));
    emit(fmt::format("matmul(v{}, v{})", a.number, b.number), a.tensor.matmul(b.tensor), bound);
  }

  void joined() {
    const auto a = with_dims(pick());
    const auto b = pick_where([&](const Tensor& y) { return y.sizes() == a.tensor.sizes(); }, a);
    if (!may_grow(a.tensor)) return unary(kViews[4]);
    const auto d = choices_.below(a.tensor.dim());
    const bool stacks = choices_.one_in(2);
    const std::vector<Tensor> list = {a.tensor, b.tensor.to(a.tensor.scalar_type())};
    emit(fmt::format("{}(v{}, v{}, {})", stacks ? "stack" : "cat", a.number, b.number, d),
         stacks ? torch::stack(list, d) : torch::cat(list, d), std::max(a.bound, b.bound));
  }

  void pieces() {
    const auto a = with_dims(pick());
    const auto d = choices_.below(a.tensor.dim());
    const bool chunks = choices_.one_in(2);
    const auto parts = chunks ? a.tensor.chunk(2, d) : a.tensor.unbind(d);
    const auto op = fmt::format("v{}.{}({})", a.number, chunks ? "chunk" : "unbind", d);
    emit(op + ".front", parts.front(), a.bound);
    emit(op + ".back", parts.back(), a.bound);
  }

  // Returns whether another write may follow.
  bool write(const Value& a) {
    const auto& view = any_of(kViews);
    const auto& op = any_of(kWrites);
    auto target = a.tensor;
    std::string where;
    if (target.dim() > 0 && choices_.one_in(2)) {
      const auto d = choices_.below(target.dim());
      target = view.apply(target, d);
      where = fmt::format(".{}({})", view.name, d);
    }
    text_ += fmt::format("v{}{}.{}\n", a.number, where, op.name);
    op.apply(target);
    return !op.saves_its_result;
  }

  // Into memory that no one has read yet: allowed.
  void write_fresh() {
    const auto a = within(wide(pick()), 30);
    const auto b = within(wide(partner_of(a)), 30);
    const auto y = emit(fmt::format("add(v{}, v{})", a.number, b.number), a.tensor + b.tensor,
                        a.bound + b.bound + 1);
    while (write(y) && choices_.one_in(2)) {
    }
  }

  // Into any value: autograd may refuse it, now or in backward.
  void write_any() {
    const auto a = wide(pick());
    if (!a.tensor.requires_grad() || a.tensor.is_leaf() || repeats(a.tensor)) return write_fresh();
    write(a);
  }

  RandomChoices choices_;
  Tensor loss_;
  std::string text_;
  std::vector<Value> values_;
  int made_ = 0;
};

}  // namespace

RandomOps run_random_ops(std::uint64_t seed, int count, const std::vector<Tensor>& leaves) {
  return Execution(seed, leaves).run(count);
}

}  // namespace remat::testing
