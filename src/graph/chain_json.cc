// The format remat.chain/1.
#include <string>

#include <fmt/format.h>

#include <remat/graph.h>

#include "base/json.h"
#include "base/json_cursor.h"
#include "graph/chain_check.h"
#include "graph/file_format.h"
#include "graph/json_lines.h"

namespace remat {
namespace {

using graph::read_bytes;
using graph::read_optional;
using graph::read_time;

StageOption read_option(const JsonCursor& option) {
  return {option.at("name").text(),
          read_bytes(option.at("saved_bytes")),
          read_time(option.at("forward_ns")),
          read_bytes(option.at("forward_workspace_bytes")),
          read_time(option.at("backward_ns")),
          read_bytes(option.at("backward_workspace_bytes"))};
}

Stage read_stage(const JsonCursor& stage) {
  Stage result = {stage.at("name").text(),
                  read_bytes(stage.at("output_bytes")),
                  read_optional(stage, "output_gradient_bytes", read_bytes),
                  read_time(stage.at("forward_ns")),
                  read_bytes(stage.at("forward_workspace_bytes")),
                  {}};
  for (const auto& option : stage.at("options").elements()) {
    result.options.push_back(read_option(option));
  }
  return result;
}

std::string text_of(const StageOption& option) {
  return fmt::format(R"({{"name": {}, "saved_bytes": {}, "forward_ns": {}, )"
                     R"("forward_workspace_bytes": {}, "backward_ns": {}, )"
                     R"("backward_workspace_bytes": {}}})",
                     json_string(option.name), option.saved.count(), option.forward_time.count(),
                     option.forward_workspace.count(), option.backward_time.count(),
                     option.backward_workspace.count());
}

// The options on lines of their own.
std::string text_of(const Stage& stage) {
  std::string options;
  for (const auto& option : stage.options) {
    options += (options.empty() ? "\n    " : ",\n    ") + text_of(option);
  }
  const auto gradient = stage.output_gradient ? fmt::format(R"("output_gradient_bytes": {}, )",
                                                            stage.output_gradient->count())
                                              : "";
  return fmt::format(R"({{"name": {}, "output_bytes": {}, {}"forward_ns": {}, )"
                     R"("forward_workspace_bytes": {}, "options": [{}]}})",
                     json_string(stage.name), stage.output.count(), gradient,
                     stage.forward_time.count(), stage.forward_workspace.count(), options);
}

}  // namespace

Chain read_chain(const std::string& json, const std::string& source) {
  const JsonDocument document(json, source);
  const JsonCursor root(document);
  graph::check_format(root, graph::kChainFormat);
  Chain chain;
  chain.name = root.at("name").text();
  chain.device = root.at("device").text();
  chain.fixed = read_bytes(root.at("fixed_bytes"));
  chain.input = read_bytes(root.at("input_bytes"));
  chain.input_gradient = read_bytes(root.at("input_gradient_bytes"));
  for (const auto& stage : root.at("stages").elements()) chain.stages.push_back(read_stage(stage));
  graph::check_chain(chain, source);
  return chain;
}

std::string to_json(const Chain& chain) {
  graph::JsonLines stages;
  for (const auto& stage : chain.stages) stages.add(text_of(stage));
  return fmt::format(
      "{{\"format\": \"{}\", \"name\": {}, \"device\": {},\n"
      " \"fixed_bytes\": {}, \"input_bytes\": {}, \"input_gradient_bytes\": {},\n"
      " \"stages\": {}}}\n",
      graph::kChainFormat, json_string(chain.name), json_string(chain.device), chain.fixed.count(),
      chain.input.count(), chain.input_gradient.count(), stages.list());
}

}  // namespace remat
