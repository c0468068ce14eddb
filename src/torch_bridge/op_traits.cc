#include "torch_bridge/op_traits.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

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
  repeatable = !is_a_race(schema);
}

const OpTraits& traits_of(const c10::OperatorHandle& op) {
  // As in writes_of: per thread, no lock.
  thread_local ska::flat_hash_map<const c10::FunctionSchema*, std::unique_ptr<OpTraits>> known;
  auto& traits = known[&op.schema()];
  if (traits == nullptr) traits = std::make_unique<OpTraits>(op);
  return *traits;
}

}  // namespace remat::torch_bridge
