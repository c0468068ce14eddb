#include "base/json.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bad_input.h"
#include "base/check.h"
#include "base/text.h"

namespace remat {
namespace {

// Readers and destructors recurse into what is nested. The formats need 4 levels; the rest is for what
// other writers add.
constexpr std::size_t kDeepest = 100;

using Json = nlohmann::json;

bool is_word(std::string_view key) {
  const auto in_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !key.empty() && std::all_of(key.begin(), key.end(), in_word);
}

// The first key that an earlier member has too.
std::optional<std::string_view> repeated_key(const JsonValue::Object& object) {
  std::vector<std::string_view> keys;
  keys.reserve(object.size());
  for (const auto& member : object) keys.push_back(member.key);
  std::sort(keys.begin(), keys.end());
  const auto repeated = std::adjacent_find(keys.begin(), keys.end());
  return repeated == keys.end() ? std::nullopt : std::optional(*repeated);
}

// nlohmann's text is "[json.exception.parse_error.101] parse error at line 1, column 2: ...", and may
// quote all that was read of a long string.
std::string reason_of(const Json::exception& error) {
  constexpr std::size_t kLongest = 200;
  std::string reason = error.what();
  if (const auto end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
  reason = printable(reason);
  return reason.size() <= kLongest ? reason : printable(reason.substr(0, kLongest)) + "...";
}

// Receives what the parser finds and builds the tree.
class TreeBuilder : public nlohmann::json_sax<Json> {
 public:
  TreeBuilder(JsonValue& root, const std::string& source) : root_(root), source_(source) {}

  bool null() override { return add({nullptr}); }
  bool boolean(bool value) override { return add({value}); }

  // The parser calls this one only for numbers with a minus sign, -0 among them.
  bool number_integer(std::int64_t value) override {
    return add({OddNumber{value == 0 ? "-0" : std::to_string(value)}});
  }
  bool number_unsigned(std::uint64_t value) override {
    if (value > static_cast<std::uint64_t>(INT64_MAX)) {
      return add({OddNumber{std::to_string(value)}});
    }
    return add({static_cast<std::int64_t>(value)});
  }
  bool number_float(double, const std::string& text) override { return add({OddNumber{text}}); }
  bool string(std::string& text) override { return add({std::move(text)}); }
  bool binary(Json::binary_t&) override { return false; }  // not in texts

  bool start_object(std::size_t) override { return open({JsonValue::Object()}); }
  bool start_array(std::size_t) override { return open({JsonValue::Array()}); }
  bool end_array() override { return close(); }
  bool end_object() override {
    if (const auto key = repeated_key(std::get<JsonValue::Object>(open_.back()->content))) {
      reject({source_, path_of_open() + path_step(*key), "each key once", "it again"});
    }
    return close();
  }
  bool key(std::string& key) override {
    std::get<JsonValue::Object>(open_.back()->content).push_back({std::move(key), {}});
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception& error) override {
    fail<InvalidArgument>("{}: expected JSON, found a {}", source_, reason_of(error));
  }

 private:
  JsonValue& place_for_next() {
    if (open_.empty()) return root_;
    auto& content = open_.back()->content;
    if (auto* object = std::get_if<JsonValue::Object>(&content)) return object->back().value;
    return std::get<JsonValue::Array>(content).emplace_back();
  }

  bool add(JsonValue value) {
    place_for_next() = std::move(value);
    return true;
  }

  // Pointers stay good: while a value is open nothing is added beside it.
  bool open(JsonValue value) {
    if (open_.size() == kDeepest) {
      reject({source_, path_of_open(), fmt::format("at most {} levels", kDeepest), "more"});
    }
    auto& place = place_for_next();
    place = std::move(value);
    open_.push_back(&place);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  // Each open value but the innermost ends, so far, in the next one.
  std::string path_of_open() const {
    std::string path;
    for (std::size_t i = 0; i + 1 < open_.size(); ++i) {
      const auto& content = open_[i]->content;
      const auto* object = std::get_if<JsonValue::Object>(&content);
      path += object != nullptr
                  ? path_step(object->back().key)
                  : fmt::format("[{}]", std::get<JsonValue::Array>(content).size() - 1);
    }
    return path;
  }

  JsonValue& root_;
  const std::string& source_;
  std::vector<JsonValue*> open_;
};

// The steps from `from` to `value`, if it is in there.
std::optional<std::string> steps_to(const JsonValue& value, const JsonValue& from) {
  if (&value == &from) return "";
  if (const auto* array = std::get_if<JsonValue::Array>(&from.content)) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (const auto rest = steps_to(value, (*array)[i])) return fmt::format("[{}]{}", i, *rest);
    }
  } else if (const auto* object = std::get_if<JsonValue::Object>(&from.content)) {
    for (const auto& member : *object) {
      if (const auto rest = steps_to(value, member.value)) return path_step(member.key) + *rest;
    }
  }
  return std::nullopt;
}

}  // namespace

JsonDocument::JsonDocument(std::string_view text, std::string source) : source_(std::move(source)) {
  TreeBuilder builder(root_, source_);
  REMAT_ASSERT(Json::sax_parse(text, &builder));
}

std::string JsonDocument::path_of(const JsonValue& value) const {
  auto steps = steps_to(value, root_);
  REMAT_ASSERT(steps.has_value());
  return *std::move(steps);
}

std::string path_step(std::string_view key) {
  return is_word(key) ? fmt::format(".{}", key) : fmt::format("[{}]", quote(key));
}

std::string json_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace remat
