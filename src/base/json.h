// JSON as strict readers need it: a key that comes twice is an error instead of the loss of a value, and
// a number that is not a whole one keeps the text it had. nlohmann's own tree has neither.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace remat {

struct JsonMember;

/// A number that is not a whole one from 0 to 2^63 - 1, or is not written as one: "-1", "1.0", "1e3".
struct OddNumber {
  std::string text;
};

struct JsonValue {
  using Array = std::vector<JsonValue>;
  using Object = std::vector<JsonMember>;
  std::variant<std::nullptr_t, bool, std::int64_t, OddNumber, std::string, Array, Object> content;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

/// A text that was parsed, and what it is called in messages.
class JsonDocument {
 public:
  /// Errors: InvalidArgument that names `source` and the place, if `text` is not JSON (RFC 8259), has a
  ///         key twice in an object or is nested deeper than 100 levels.
  JsonDocument(std::string_view text, std::string source);

  const JsonValue& root() const { return root_; }
  const std::string& source() const { return source_; }

  /// The steps from the root to a value of this document: ".ops[12].reads[0]"; "" for the root.
  /// Cost: linear in the document: it is for messages.
  std::string path_of(const JsonValue& value) const;

 private:
  JsonValue root_;
  std::string source_;
};

/// `key` as a step of a path: ".reads", or ["odd key"] where it is no plain word.
std::string path_step(std::string_view key);

/// `text` as a JSON string, in its quotes. What is not UTF-8 in it becomes U+FFFD.
std::string json_string(std::string_view text);

}  // namespace remat
