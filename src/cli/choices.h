// Flags whose value is one of a few names, and flags that may stay without a value.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/text.h"
#include "models/decoder_config.h"

namespace remat::cli {

/// "gpt2 or llama"
template <class Value, std::size_t N>
std::string names_of(const std::array<models::Named<Value>, N>& choices) {
  std::string names;
  for (std::size_t i = 0; i < N; ++i) {
    names += (i == 0 ? "" : i + 1 == N ? " or " : ", ") + std::string(choices[i].name);
  }
  return names;
}

/// "llama"
template <class Value, std::size_t N>
std::string name_of(const std::array<models::Named<Value>, N>& choices, Value value) {
  for (const auto& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  return {};
}

/// The value of that name, nullopt if there is none.
template <class Value, std::size_t N>
std::optional<Value> value_named(const std::array<models::Named<Value>, N>& choices,
                                 const std::string& name) {
  for (const auto& choice : choices) {
    if (name == choice.name) return choice.value;
  }
  return std::nullopt;
}

/// Adds `flag`, which takes one of the names in `choices` and sets `value`; its present value is the
/// default that --help shows.
template <class Value, std::size_t N>
CLI::Option* add_choice(CLI::App& verb, const char* flag, Value& value,
                        const std::array<models::Named<Value>, N>& choices,
                        const std::string& help) {
  const auto read = [flag, &value, &choices](const std::string& text) {
    const auto chosen = value_named(choices, text);
    if (!chosen) {
      throw CLI::ValidationError(flag,
                                 fmt::format("must be {}, not {}", names_of(choices), quote(text)));
    }
    value = *chosen;
  };
  auto* option = verb.add_option_function<std::string>(
      flag, read, fmt::format("{}: {}", help, names_of(choices)));
  for (const auto& choice : choices) {
    if (choice.value == value) option->default_str(choice.name);
  }
  return option->type_name("NAME");
}

/// Adds `flag`, which sets `value` if it is given.
template <class Value>
CLI::Option* add_optional(CLI::App& verb, const char* flag, std::optional<Value>& value,
                          const std::string& help) {
  return verb.add_option_function<Value>(
      flag, [&value](const Value& given) { value = given; }, help);
}

}  // namespace remat::cli
