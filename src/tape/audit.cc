#include "tape/audit.h"

#include "torch_bridge/content_hash.h"

namespace remat::tape {
namespace {

std::int32_t key_of(ValueIndex value) { return static_cast<std::int32_t>(value); }

}  // namespace

/// The view of its value that an operator gave, on `storage`.
at::Tensor Audit::shown_of(ValueIndex index, const c10::Storage& storage) const {
  const Value& value = record_.values[index];
  const Output& output = record_.outputs[record_.ops[value.maker].outputs.begin + value.output];
  return torch_bridge::tensor_on(storage, record_.view(output.view));
}

bool Audit::has_unwritten_bytes(ValueIndex index) const {
  const Value& value = record_.values[index];
  const Op& op = record_.ops[value.maker];
  const Output& output = record_.outputs[op.outputs.begin + value.output];
  return output.result >= torch_bridge::first_result_with_unwritten_bytes(op.traits->handle);
}

void Audit::made(ValueIndex index, const c10::Storage& storage) {
  if (has_unwritten_bytes(index)) return;
  const at::Tensor shown = shown_of(index, storage);
  const torch_bridge::Hash128 whole = torch_bridge::storage_hash(shown);
  const bool is_all = torch_bridge::covers_storage(shown);
  noted_[key_of(index)] = {whole, is_all ? whole : torch_bridge::memory_order_hash(shown)};
}

bool Audit::is_unchanged(ValueIndex index, const c10::Storage& storage) const {
  const auto noted = noted_.find(key_of(index));
  if (noted == noted_.end()) return true;
  return torch_bridge::storage_hash(shown_of(index, storage)) == noted->second.whole;
}

bool Audit::is_the_same(ValueIndex index, const c10::Storage& storage) const {
  const auto noted = noted_.find(key_of(index));
  if (noted == noted_.end()) return true;
  const at::Tensor shown = shown_of(index, storage);
  const bool is_all = torch_bridge::covers_storage(shown);
  const auto hash =
      is_all ? torch_bridge::storage_hash(shown) : torch_bridge::memory_order_hash(shown);
  return hash == noted->second.shown;
}

}  // namespace remat::tape
