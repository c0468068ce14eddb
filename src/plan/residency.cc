#include "plan/residency.h"

namespace remat::plan {

Residency::Residency(const OpGraph& graph, const graph::IndexedGraph& index)
    : graph_(graph),
      index_(index),
      resident_(graph.values.size()),
      drop_waits_(graph.values.size()),
      released_after_(graph.ops.size()),
      runs_(graph.ops.size()),
      live_(graph.fixed) {
  for (std::size_t value = 0; value < graph.values.size(); ++value) {
    if (!index.writer(value)) add(value);
    if (const auto op = index.held_until(value)) released_after_[*op].push_back(value);
  }
}

Bytes Residency::start(std::size_t op) {
  const auto& touched = index_.ops()[op];
  Bytes second_copies;
  for (const auto value : touched.writes) {
    drop_waits_[value] = false;
    if (resident_[value]) second_copies += graph_.values[value].bytes;
  }
  if (runs_[op] == 0) {
    for (const auto& reuse : touched.reuses) remove(reuse.read);
  }
  for (const auto value : touched.writes) {
    if (!resident_[value]) add(value);
  }
  return live_ + second_copies + graph_.ops[op].workspace;
}

void Residency::finish(std::size_t op) {
  if (runs_[op]++ > 0) return;
  for (const auto value : released_after_[op]) {
    if (drop_waits_[value]) remove(value);
  }
}

void Residency::drop(std::size_t value) {
  const auto holder = index_.held_until(value);
  if (holder && runs_[*holder] == 0) {
    drop_waits_[value] = true;
  } else {
    remove(value);
  }
}

void Residency::add(std::size_t value) {
  resident_[value] = true;
  live_ += graph_.values[value].bytes;
}

void Residency::remove(std::size_t value) {
  resident_[value] = false;
  drop_waits_[value] = false;
  live_ -= graph_.values[value].bytes;
}

}  // namespace remat::plan
