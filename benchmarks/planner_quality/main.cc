// How near are plan_graph's plans to the best, and to those that Checkmate finds in 24 hours?
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <remat/graph.h>

#include "common/processor.h"
#include "planner_quality/contest.h"
#include "planner_quality/published.h"
#include "planner_quality/small_step.h"

namespace remat::benchmarks {
namespace {

struct Options {
  std::string profiles = REMAT_PROFILES;
  std::string json;
  std::vector<double> efforts = {0.1, 1, 10};
  std::string only;
  bool smoke = false;
};

std::optional<OpGraph> read_profile(const std::string& folder, const std::string& name) {
  const auto path = folder + "/" + name + ".opgraph.json";
  const std::ifstream file(path);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return read_op_graph(text.str(), path);
}

std::vector<Row> measured_steps(const Options& options) {
  std::vector<Row> rows;
  for (const auto& published : published_rows()) {
    if (!options.only.empty() && published.graph != options.only) continue;
    const auto graph = read_profile(options.profiles, published.graph);
    if (!graph) {
      std::cerr << "skipped: there is no " << published.graph << ".opgraph.json in "
                << options.profiles << "; say where the profiles are with --profiles\n";
      return {};
    }
    std::cerr << published.graph << ", " << published.budget_gib << " GiB\n";
    const Question question{&*graph, Bytes(published.budget_gib << 30), published};
    rows.push_back(contest(question, options.efforts));
  }
  return rows;
}

std::vector<Row> small_steps(const Options& options) {
  const auto graph = small_step();
  std::vector<Row> rows;
  for (const std::int64_t mebibytes : {2, 10, 20, 100}) {
    rows.push_back(contest({&graph, Bytes(mebibytes << 20), {}}, options.efforts));
  }
  return rows;
}

void run(Options options) {
  if (options.smoke) options.efforts = {0.0002, 0.001};
  const auto rows = options.smoke ? small_steps(options) : measured_steps(options);
  if (rows.empty()) return;
  const auto machine = describe_processor();
  std::cout
      << machine << "\n"
      << "Overheads in % of the step that recomputes nothing; gap: of the last effort over the "
         "lower bound, in percentage points.\n\n"
      << to_table(rows);
  if (!options.json.empty()) std::ofstream(options.json) << to_json(rows, machine);
}

}  // namespace
}  // namespace remat::benchmarks

int main(int argc, char** argv) {
  remat::benchmarks::Options options;
  CLI::App app("How near are plan_graph's plans to the best?");
  app.add_option("--profiles", options.profiles, "The folder of the measured steps");
  app.add_option("--json", options.json, "Write all numbers to this file, too");
  app.add_option("--efforts", options.efforts, "Factors of the default effort");
  app.add_option("--graph", options.only, "Only this one");
  app.add_flag("--smoke", options.smoke, "A small graph and little effort, to try this program");
  CLI11_PARSE(app, argc, argv);
  try {
    remat::benchmarks::run(options);
  } catch (const std::exception& error) {
    std::cerr << "planner_quality: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
