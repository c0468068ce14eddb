#include "base/json_cursor.h"

#include <algorithm>
#include <variant>

#include <fmt/format.h>

#include "base/bad_input.h"
#include "base/text.h"

namespace remat {
namespace {

// What a value is, for "found ...".
struct Describe {
  std::string operator()(std::nullptr_t) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(const OddNumber& number) const {
    constexpr std::size_t kLongest = 60;
    return number.text.size() <= kLongest ? number.text : number.text.substr(0, kLongest) + "...";
  }
  std::string operator()(const std::string& text) const { return quote(text); }
  std::string operator()(const JsonValue::Array& array) const {
    return fmt::format("a list of {}", array.size());
  }
  std::string operator()(const JsonValue::Object&) const { return "an object"; }
};

}  // namespace

JsonCursor JsonCursor::at(std::string_view key) const {
  if (const auto member = find(key)) return *member;
  remat::reject(
      {document_->source(), document_->path_of(*value_) + path_step(key), "this key", "none"});
}

std::optional<JsonCursor> JsonCursor::find(std::string_view key) const {
  const auto* object = std::get_if<JsonValue::Object>(&value_->content);
  if (object == nullptr) reject("an object");
  const auto has_key = [key](const JsonMember& member) { return member.key == key; };
  const auto found = std::find_if(object->begin(), object->end(), has_key);
  return found == object->end() ? std::nullopt
                                : std::optional(JsonCursor(*document_, found->value));
}

std::vector<JsonCursor> JsonCursor::elements() const {
  const auto* array = std::get_if<JsonValue::Array>(&value_->content);
  if (array == nullptr) reject("a list");
  std::vector<JsonCursor> elements;
  elements.reserve(array->size());
  for (const auto& element : *array) elements.push_back(JsonCursor(*document_, element));
  return elements;
}

const std::string& JsonCursor::text() const {
  const auto* text = std::get_if<std::string>(&value_->content);
  if (text == nullptr) reject("a string");
  return *text;
}

std::int64_t JsonCursor::whole_number() const {
  const auto* number = std::get_if<std::int64_t>(&value_->content);
  if (number == nullptr) reject("a whole number from 0 to 2^63 - 1, in digits only");
  return *number;
}

void JsonCursor::reject(std::string_view expected) const {
  remat::reject({document_->source(), document_->path_of(*value_), std::string(expected),
                 std::visit(Describe(), value_->content)});
}

}  // namespace remat
