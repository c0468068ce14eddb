#include "torch_bridge/op_traits.h"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include <c10/util/flat_hash_map.h>

namespace remat::torch_bridge {
namespace {

using Names = std::initializer_list<std::string_view>;

bool is_one_of(std::string_view name, Names names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool makes_fresh(std::string_view name) {
  return starts_with(name, "aten::empty") || starts_with(name, "aten::new_empty");
}

// Operators that write every element of what they write and read none of it. (tape.md, F4)
bool overwrites(const c10::FunctionSchema& schema) {
  return is_one_of(schema.name(), {"aten::zero_", "aten::fill_", "aten::copy_", "aten::bernoulli_",
                                   "aten::normal_", "aten::uniform_", "aten::random_",
                                   "aten::exponential_", "aten::rrelu_with_noise"}) ||
         (schema.is_mutable() && schema.overload_name().find("out") != std::string::npos);
}

// On CPUs, with duplicate indices, it is a race which of them wins. (tape.md, section 6)
bool is_a_race(const c10::FunctionSchema& schema) {
  return is_one_of(schema.name(),
                   {"aten::index_put", "aten::index_put_", "aten::_index_put_impl_"});
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325u;  // FNV-1a
  for (const char character : text) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001B3u;
  }
  return hash;
}

/// Whether all tensors among the results are views of arguments, as the schema says.
bool shows_arguments(const c10::FunctionSchema& schema) {
  const auto& results = schema.returns();
  return std::all_of(results.begin(), results.end(), [](const c10::Argument& result) {
    const auto kind = result.type()->kind();
    const bool is_number = kind == c10::TypeKind::NumberType || kind == c10::TypeKind::BoolType ||
                           kind == c10::TypeKind::IntType || kind == c10::TypeKind::FloatType;
    return is_number || result.alias_info() != nullptr;
  });
}

const char* obstacle_of(const OpTraits& traits) {
  if (is_a_race(traits.handle.schema())) return "it may give other bits when it runs again";
  if (traits.makes_fresh) return "its memory is not written yet";
  if (traits.exchanges_storage || traits.resizes) return "it exchanges or resizes a storage";
  if (traits.draws.may_draw_unseen) return "an operator of another library may draw random numbers";
  return nullptr;
}

std::string full_name(const c10::FunctionSchema& schema) {
  return schema.overload_name().empty() ? schema.name()
                                        : schema.name() + "." + schema.overload_name();
}

}  // namespace

OpTraits::OpTraits(const c10::OperatorHandle& op)
    : handle(op),
      name(full_name(op.schema())),
      writes(writes_of(op)),
      draws(draws_of(op)),
      identity(hash_of(name)) {
  const c10::FunctionSchema& schema = op.schema();
  makes_fresh = torch_bridge::makes_fresh(schema.name());
  overwrites = torch_bridge::overwrites(schema);
  exchanges_storage = is_one_of(schema.name(), {"aten::set_", "aten::set"});
  resizes =
      is_one_of(schema.name(), {"aten::resize_", "aten::_resize_output_", "aten::resize_as_"});
  only_shows = !writes.any() && !draws.any() && shows_arguments(schema);
  obstacle = obstacle_of(*this);
}

namespace {

/// Never destroyed: a step's operators run again on other threads than that which ran them first.
const OpTraits* shared_traits_of(const c10::OperatorHandle& op) {
  static auto& mutex = *new std::mutex();
  static auto& all =
      *new std::unordered_map<const c10::FunctionSchema*, std::unique_ptr<const OpTraits>>();
  const std::lock_guard<std::mutex> lock(mutex);
  auto& traits = all[&op.schema()];
  if (traits == nullptr) traits = std::make_unique<const OpTraits>(op);
  return traits.get();
}

}  // namespace

const OpTraits& traits_of(const c10::OperatorHandle& op) {
  // Per thread: no lock. Schemas live as long as their operator, which libraries rarely unload.
  thread_local ska::flat_hash_map<const c10::FunctionSchema*, const OpTraits*> known;
  const OpTraits*& traits = known[&op.schema()];
  if (traits == nullptr) traits = shared_traits_of(op);
  return *traits;
}

}  // namespace remat::torch_bridge
