// Names of operators that say where in the model they are: "blocks.3.attention.qkv: aten::addmm".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace remat::graph {

/// A name's two parts. `place` is a path of modules, empty where it is not known.
struct OpName {
  std::string place;
  std::string kind;
};

std::string to_string(const OpName& name);
OpName parse_op_name(std::string_view name);

/// The path up to the number of a module in a row: "blocks.3" of "blocks.3.attention.qkv", "block3" of
/// "block3.mlp"; the first part of one without.
std::string layer_of(std::string_view place);

/// What layers of one kind have in common: "*" for the numbers of modules in a row.
std::string without_numbers(std::string_view name);

/// One name for all of `names`, which are the same without numbers: "blocks.0-3,7.mlp: aten::gelu".
std::string common_name(const std::vector<std::string>& names);

}  // namespace remat::graph
