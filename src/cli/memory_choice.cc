#include "cli/memory_choice.h"

#include <remat/error.h>

#include "base/check.h"
#include "base/decimal.h"
#include "base/text.h"

namespace remat::cli {
namespace {

Bytes parse_size(const std::string& text) {
  try {
    return Bytes::parse(text);
  } catch (const InvalidArgument& error) {
    fail<InvalidArgument>("{}; or give a share of the plain step's activations, 1% to 100%",
                          error.what());
  }
}

}  // namespace

MemoryChoice MemoryChoice::parse(const std::string& text) {
  MemoryChoice choice;
  choice.text_ = text;
  if (text.empty() || text.back() != '%') {
    choice.size_ = parse_size(text);
    REMAT_CHECK(*choice.size_ > Bytes(0), InvalidArgument,
                "must be more than no memory, as in 1.5GiB or 50%, not {}", quote(text));
    return choice;
  }
  const auto percent = parse_decimal(text.substr(0, text.size() - 1));
  REMAT_CHECK(percent && *percent >= 1 && *percent <= 100, InvalidArgument,
              "must be a size, as in 1.5GiB, or 1% to 100% of the plain step's activations, not {}",
              quote(text));
  choice.percent_ = *percent;
  return choice;
}

Bytes MemoryChoice::bytes(const std::function<PlainMemory()>& measure) const {
  if (size_) return *size_;
  const auto plain = measure();
  return plain.fixed + (plain.peak - plain.fixed) * percent_ / 100;
}

CLI::Option* add_memory_flag(CLI::App& verb, std::optional<MemoryChoice>& memory,
                             const std::string& help) {
  const auto read = [&memory](const std::string& text) {
    try {
      memory = MemoryChoice::parse(text);
    } catch (const InvalidArgument& error) {
      throw CLI::ValidationError("--memory", error.what());
    }
  };
  return verb.add_option_function<std::string>("--memory", read, help)->type_name("SIZE|PERCENT");
}

}  // namespace remat::cli
