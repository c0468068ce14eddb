// What readers of files say of input that they cannot take.
#pragma once

#include <string>

namespace remat {

/// A place in a file, what the format asks for there and what the file has.
struct BadInput {
  std::string source;    ///< what the user calls the input: the path of its file
  std::string path;      ///< ".ops[12].reads[0]" or "ops[12]"; empty for the input as a whole
  std::string expected;  ///< "the id of a value"
  std::string found;     ///< printable
};

/// Throws InvalidArgument: "net.json: ops[12].reads[0]: expected the id of a value, found 77".
[[noreturn]] void reject(const BadInput& input);

}  // namespace remat
