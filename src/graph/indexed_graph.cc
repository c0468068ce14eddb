#include "graph/indexed_graph.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/bad_input.h"
#include "base/wide_sum.h"
#include "graph/ids.h"

namespace remat::graph {
namespace {

std::optional<std::size_t> find_place(const std::unordered_map<std::int64_t, std::size_t>& places,
                                      std::int64_t id) {
  const auto found = places.find(id);
  return found == places.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

// Checks a graph part by part; what later checks need is entered into the index as it goes.
class GraphIndexer {
 public:
  GraphIndexer(const OpGraph& graph, const std::string& source, IndexedGraph& index)
      : graph_(graph), source_(source), index_(index) {}

  void run() {
    index_values();
    index_ops();
    find_holders();
    index_writes();
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      index_reads(op);
      index_reuses(op);
    }
    check_sizes();
    check_times();
  }

 private:
  [[noreturn]] void reject_at(std::string path, std::string expected, std::string found) const {
    reject({source_, std::move(path), std::move(expected), std::move(found)});
  }

  void check_not_negative(std::int64_t number, const std::string& path) const {
    if (number < 0) reject_at(path, "a whole number from 0 to 2^63 - 1", std::to_string(number));
  }

  // Enters an id into `places`.
  void add_place(IndexedGraph::Places& places, std::int64_t id, std::string_view list,
                 std::size_t place) const {
    const auto path = fmt::format("{}[{}].id", list, place);
    check_not_negative(id, path);
    const auto [entry, is_new] = places.emplace(id, place);
    if (!is_new) {
      reject_at(path, "an id of its own",
                fmt::format("{}, the id of {}[{}] too", id, list, entry->second));
    }
  }

  void index_values() {
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      const auto& value = graph_.values[i];
      add_place(index_.value_places_, static_cast<std::int64_t>(value.id), "values", i);
      check_not_negative(value.bytes.count(), fmt::format("values[{}].bytes", i));
    }
  }

  void index_ops() {
    for (std::size_t i = 0; i < graph_.ops.size(); ++i) {
      const auto& op = graph_.ops[i];
      add_place(index_.op_places_, static_cast<std::int64_t>(op.id), "ops", i);
      check_not_negative(op.time.count(), fmt::format("ops[{}].time_ns", i));
      check_not_negative(op.recompute_time.value_or(op.time).count(),
                         fmt::format("ops[{}].recompute_time_ns", i));
      check_not_negative(op.workspace.count(), fmt::format("ops[{}].workspace_bytes", i));
    }
    index_.ops_.resize(graph_.ops.size());
  }

  void find_holders() {
    for (std::size_t i = 0; i < graph_.values.size(); ++i) {
      const auto& holder = graph_.values[i].held_until;
      index_.held_until_.push_back(holder ? index_.find(*holder) : std::nullopt);
      if (holder && !index_.held_until_.back()) {
        reject_at(fmt::format("values[{}].held_until", i), "the id of an op",
                  fmt::format("{}", *holder));
      }
    }
  }

  std::size_t place_of(ValueId id, const std::string& path) const {
    const auto place = index_.find(id);
    if (!place) reject_at(path, "the id of a value", fmt::format("{}", id));
    return *place;
  }

  static std::string op_path(std::size_t op, std::string_view list, std::size_t place) {
    return fmt::format("ops[{}].{}[{}]", op, list, place);
  }

  void index_writes() {
    index_.writers_.resize(graph_.values.size());
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      const auto& writes = graph_.ops[op].writes;
      for (std::size_t i = 0; i < writes.size(); ++i) {
        const auto path = op_path(op, "writes", i);
        const auto value = place_of(writes[i], path);
        if (const auto other = index_.writers_[value]) {
          reject_at(path, "a value that is written once",
                    fmt::format("{}, which ops[{}] writes too", writes[i], *other));
        }
        index_.writers_[value] = op;
        index_.ops_[op].writes.push_back(value);
      }
    }
  }

  void index_reads(std::size_t op) {
    const auto& reads = graph_.ops[op].reads;
    for (std::size_t i = 0; i < reads.size(); ++i) {
      const auto path = op_path(op, "reads", i);
      const auto value = place_of(reads[i], path);
      const auto writer = index_.writers_[value];
      if (writer && *writer >= op) {
        reject_at(path, "an input or a value that an earlier op writes",
                  *writer == op ? fmt::format("{}, which this op writes", reads[i])
                                : fmt::format("{}, which ops[{}] writes", reads[i], *writer));
      }
      index_.ops_[op].reads.push_back(value);
    }
  }

  // Each storage is handed over once, to one value.
  void index_reuses(std::size_t op) {
    auto reads = index_.ops_[op].reads;
    auto writes = index_.ops_[op].writes;
    const auto& reuses = graph_.ops[op].reuses;
    for (std::size_t i = 0; i < reuses.size(); ++i) {
      const auto path = op_path(op, "reuses", i);
      const IndexedOp::Reuse reuse = {place_of(reuses[i].read, path),
                                      place_of(reuses[i].written, path)};
      const auto read = std::find(reads.begin(), reads.end(), reuse.read);
      const auto written = std::find(writes.begin(), writes.end(), reuse.written);
      if (read == reads.end() || written == writes.end()) {
        reject_at(path, "[a value that this op reads, one that it writes], each in one pair",
                  fmt::format("[{}, {}]", reuses[i].read, reuses[i].written));
      }
      reads.erase(std::remove(reads.begin(), reads.end(), reuse.read), reads.end());
      writes.erase(written);
      index_.ops_[op].reuses.push_back(reuse);
    }
  }

  // While an op runs, all values may be resident, and what it writes a second time.
  void check_sizes() const {
    check_not_negative(graph_.fixed.count(), "fixed_bytes");
    WideSum most = 0;
    for (std::size_t op = 0; op < graph_.ops.size(); ++op) {
      WideSum transient = graph_.ops[op].workspace.count();
      for (const auto value : index_.ops_[op].writes) {
        transient += graph_.values[value].bytes.count();
      }
      most = std::max(most, transient);
    }
    for (const auto& value : graph_.values) most += value.bytes.count();
    if (!fits(most + graph_.fixed.count())) {
      reject_at("values",
                "sizes that add up to at most 2^63 - 1 bytes, fixed_bytes and a workspace "
                "included",
                "more");
    }
  }

  void check_times() const {
    WideSum total = 0;
    for (const auto& op : graph_.ops) total += op.time.count();
    if (!fits(total)) reject_at("ops", "times that add up to at most 2^63 - 1 ns", "more");
  }

  const OpGraph& graph_;
  const std::string& source_;
  IndexedGraph& index_;
};

IndexedGraph::IndexedGraph(const OpGraph& graph, const std::string& source) {
  GraphIndexer(graph, source, *this).run();
}

std::optional<std::size_t> IndexedGraph::find(OpId id) const {
  return find_place(op_places_, static_cast<std::int64_t>(id));
}

std::optional<std::size_t> IndexedGraph::find(ValueId id) const {
  return find_place(value_places_, static_cast<std::int64_t>(id));
}

}  // namespace remat::graph
