#include "tests/plan/nightly/checkmate_milp.h"

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <vector>

#include <fmt/format.h>

#include "graph/indexed_graph.h"
#include "tests/testing/temporary_file.h"

namespace remat::testing {
namespace {

// Stage t ends with the first run of op t. Binary r_t_i: op i runs in stage t. s_t_v: value v is kept from
// the stage before into stage t. f_t_v_k: value v is let go in stage t as soon as op k has run.
// Continuous u_t_k: bytes while op k runs, or would run, in stage t.
class CheckmateProgram {
 public:
  CheckmateProgram(const OpGraph& graph, std::int64_t budget)
      : graph_(graph), index_(graph, "Checkmate"), budget_(budget), users_(graph.values.size()) {
    for (std::size_t op = 0; op < graph.ops.size(); ++op) {
      for (const auto value : index_.ops()[op].reads) users_[value].push_back(op);
    }
  }

  std::string text() {
    for (std::size_t stage = 0; stage < graph_.ops.size(); ++stage) {
      list_replays(stage);
      require_reads(stage);
      require_sources_of_kept(stage);
      limit_memory(stage);
    }
    return fmt::format(
        "Minimize\n cost: 0 none{}\nSubject To\n{}Bounds\n none = 0\n{}Binaries\n{}End\n", cost_,
        rows_, bounds_, binaries_);
  }

 private:
  static std::string r(std::size_t stage, std::size_t op) {
    return fmt::format("r_{}_{}", stage, op);
  }
  static std::string s(std::size_t stage, std::size_t value) {
    return fmt::format("s_{}_{}", stage, value);
  }
  static std::string f(std::size_t stage, std::size_t value, std::size_t op) {
    return fmt::format("f_{}_{}_{}", stage, value, op);
  }
  static std::string u(std::size_t stage, std::size_t op) {
    return fmt::format("u_{}_{}", stage, op);
  }

  void row(const std::string& text) { rows_ += fmt::format(" c{}: {}\n", number_of_rows_++, text); }
  void binary(const std::string& name) { binaries_ += " " + name + "\n"; }
  std::int64_t bytes(std::size_t value) const { return graph_.values[value].bytes.count(); }

  bool exists_before(std::size_t value, std::size_t stage) const {
    const auto writer = index_.writer(value);
    return !writer || *writer < stage;
  }

  void list_replays(std::size_t stage) {
    for (std::size_t op = 0; op <= stage; ++op) {
      binary(r(stage, op));
      const auto& what = graph_.ops[op];
      if (op == stage) {
        bounds_ += fmt::format(" {} = 1\n", r(stage, op));
      } else if (what.phase == Phase::kBackward) {
        bounds_ += fmt::format(" {} = 0\n", r(stage, op));
      } else {
        cost_ += fmt::format("\n + {} {}", what.recompute_time.value_or(what.time).count(),
                             r(stage, op));
      }
    }
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      if (exists_before(value, stage)) binary(s(stage, value));
    }
  }

  void require_reads(std::size_t stage) {
    for (std::size_t op = 0; op <= stage; ++op) {
      for (const auto value : index_.ops()[op].reads) {
        const auto writer = index_.writer(value);
        const auto made = writer ? " - " + r(stage, *writer) : "";
        row(fmt::format("{}{} - {} <= 0", r(stage, op), made, s(stage, value)));
      }
    }
  }

  void require_sources_of_kept(std::size_t stage) {
    if (stage == 0) return;
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      if (!exists_before(value, stage)) continue;
      const auto writer = index_.writer(value);
      auto sources = writer ? " - " + r(stage - 1, *writer) : "";
      if (exists_before(value, stage - 1)) sources += " - " + s(stage - 1, value);
      row(fmt::format("{}{} <= 0", s(stage, value), sources));
    }
  }

  void limit_memory(std::size_t stage) {
    std::string before;
    for (std::size_t value = 0; value < graph_.values.size(); ++value) {
      if (exists_before(value, stage))
        before += fmt::format(" - {} {}", bytes(value), s(stage, value));
    }
    for (std::size_t op = 0; op <= stage; ++op) {
      std::string made;
      for (const auto value : index_.ops()[op].writes) {
        made += fmt::format(" - {} {}", bytes(value), r(stage, op));
      }
      const auto right = op == 0 ? graph_.fixed.count() : 0;
      row(fmt::format("{}{}{} = {}", u(stage, op), before, made, right));
      const auto workspace = graph_.ops[op].workspace.count();
      row(fmt::format("{} + {} {} <= {}", u(stage, op), workspace, r(stage, op), budget_));
      before = " - " + u(stage, op) + freed_after(stage, op);
    }
  }

  // As terms on the left side of the row of the next op.
  std::string freed_after(std::size_t stage, std::size_t op) {
    std::string terms;
    auto touched = index_.ops()[op].reads;
    touched.insert(touched.end(), index_.ops()[op].writes.begin(), index_.ops()[op].writes.end());
    for (const auto value : touched) {
      const auto name = f(stage, value, op);
      binary(name);
      // Not let go, though that would help: the op did not run, or the value is kept, or a later op of the stage uses it.
      std::string kept = " - " + r(stage, op);
      std::int64_t reasons = 1;
      if (stage + 1 < graph_.ops.size()) {
        kept += " + " + s(stage + 1, value);
        ++reasons;
      }
      for (const auto user : users_[value]) {
        if (user <= op || user > stage) continue;
        kept += " + " + r(stage, user);
        ++reasons;
      }
      row(fmt::format("{} {}{} <= {}", reasons, name, kept, reasons - 1));
      terms += fmt::format(" + {} {}", bytes(value), name);
    }
    return terms;
  }

  const OpGraph& graph_;
  const graph::IndexedGraph index_;
  const std::int64_t budget_;
  std::vector<std::vector<std::size_t>> users_;
  int number_of_rows_ = 0;
  std::string cost_;
  std::string rows_;
  std::string bounds_;
  std::string binaries_;
};

}  // namespace

bool has_cbc() { return std::system("cbc -quit >/dev/null 2>&1") == 0; }

std::string checkmate_program(const OpGraph& graph, Bytes budget) {
  return CheckmateProgram(graph, budget.count()).text();
}

MilpAnswer least_time_by_milp(const OpGraph& graph, Bytes budget, std::chrono::seconds limit) {
  const TemporaryFile program(checkmate_program(graph, budget), ".lp");
  const TemporaryFile solution("");
  const auto command =
      fmt::format("cbc '{}' -sec {} -allow 0 -ratio 0 -solve -solution '{}' >/dev/null 2>&1",
                  program.path(), limit.count(), solution.path());
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::string first_line;
  std::ifstream file(solution.path());
  std::getline(file, first_line);
  if (first_line.rfind("Infeasible", 0) == 0 || first_line.rfind("Integer infeasible", 0) == 0) {
    return {true, {}};
  }
  if (first_line.rfind("Optimal", 0) != 0) return {};
  const auto replays = std::stod(first_line.substr(first_line.rfind(' ')));
  std::int64_t plain = 0;
  for (const auto& op : graph.ops) plain += op.time.count();
  return {true, plain + std::llround(replays)};
}

}  // namespace remat::testing
