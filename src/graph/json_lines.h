// Lists with an element on each line: readable, and versions of a file can be compared line by line.
#pragma once

#include <string>
#include <string_view>

namespace remat::graph {

class JsonLines {
 public:
  /// `element` is JSON.
  void add(std::string_view element) {
    lines_ += lines_.empty() ? "\n  " : ",\n  ";
    lines_ += element;
  }

  /// The whole list, indented for a member of the file's object; "[]" if nothing was added.
  std::string list() const { return lines_.empty() ? "[]" : "[" + lines_ + "\n ]"; }

 private:
  std::string lines_;
};

}  // namespace remat::graph
