// Reading a JSON document by key and type, with messages that say where it is not as expected.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace remat {

/// A value of a document. Cheap to copy; the document must outlive it.
///
/// Errors: each read throws InvalidArgument that names source, path, what was expected and what was
///         found, if the value is of another type.
class JsonCursor {
 public:
  /// At the root.
  explicit JsonCursor(const JsonDocument& document) : JsonCursor(document, document.root()) {}

  /// The member `key` of this object; it must be there.
  JsonCursor at(std::string_view key) const;

  /// The member `key` of this object, if it is there.
  std::optional<JsonCursor> find(std::string_view key) const;

  /// The elements of this list.
  std::vector<JsonCursor> elements() const;

  const std::string& text() const;

  /// From 0 to 2^63 - 1, written in digits only.
  std::int64_t whole_number() const;

  /// Throws: this value is not `expected`.
  [[noreturn]] void reject(std::string_view expected) const;

 private:
  JsonCursor(const JsonDocument& document, const JsonValue& value)
      : document_(&document), value_(&value) {}

  const JsonDocument* document_;
  const JsonValue* value_;
};

}  // namespace remat
