// How much memory a step may take, as flags say it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include <remat/bytes.h>

namespace remat::cli {

/// Memory of the step without a budget.
struct PlainMemory {
  Bytes fixed;  ///< before the forward, once gradients and optimizer state exist
  Bytes peak;
};

/// A size, everything included, or a share of the plain step's activations on top of what that begins with.
class MemoryChoice {
 public:
  /// "1.5GiB" or "50%", whole percents from 1 to 100.
  /// Errors: InvalidArgument that names the text and the forms.
  static MemoryChoice parse(const std::string& text);

  /// nullopt if it is a share.
  const std::optional<Bytes>& size() const { return size_; }

  /// The bytes it comes to; `measure` is called if it is a share.
  Bytes bytes(const std::function<PlainMemory()>& measure) const;

  /// As it was given.
  const std::string& to_string() const { return text_; }

 private:
  std::string text_;
  std::optional<Bytes> size_;
  std::int64_t percent_ = 0;
};

/// Adds --memory.
CLI::Option* add_memory_flag(CLI::App& verb, std::optional<MemoryChoice>& memory,
                             const std::string& help);

}  // namespace remat::cli
