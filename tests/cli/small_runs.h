// Command lines that take a fraction of a second.
#pragma once

#include <string>
#include <vector>

#include "tests/cli/run_remat.h"
#include "tests/testing/temporary_file.h"

namespace remat::testing {

inline std::string repetitive_text() {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "the quick brown fox jumps over the lazy dog. ";
  return text;
}

/// `verb` on `file` with a tiny model of four layers, then `more`.
inline Arguments tiny(const std::string& verb, const TemporaryFile& file,
                      const Arguments& more = {}) {
  Arguments arguments = {verb,      "--text",  file.path(), "--layers",  "4",       "--dim", "16",
                         "--heads", "2",       "--seq",     "24",        "--batch", "2",     "--lr",
                         "0.003",   "--steps", "12",        "--threads", "1"};
  // A flag that is given again replaces the tiny one: CLI11 takes each only once.
  for (std::size_t i = 0; i < more.size(); ++i) {
    for (std::size_t j = 1; j + 1 < arguments.size(); j += 2) {
      if (arguments[j] != more[i]) continue;
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(j),
                      arguments.begin() + static_cast<std::ptrdiff_t>(j) + 2);
    }
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// The flags of every model with every attention.
inline std::vector<Arguments> all_models() {
  return {{"--model", "gpt2"},
          {"--model", "gpt2", "--attention", "efficient", "--dropout", "0"},
          {"--model", "llama", "--heads", "4", "--kv-heads", "2"},
          {"--model", "llama", "--heads", "4", "--kv-heads", "1", "--dropout", "0.2"},
          {"--model", "llama", "--heads", "4", "--kv-heads", "2", "--attention", "efficient"}};
}

inline Arguments joined(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace remat::testing
