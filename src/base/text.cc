#include "base/text.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"

namespace remat {
namespace {

constexpr std::size_t kQuotedBytes = 60;  // longest text that a one-line message shows whole

constexpr std::string_view kGap = "...";  // for what is left out

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // 0: the text does not begin with well-formed UTF-8
};

struct Range {
  char32_t first;
  char32_t last;
};

// Characters without a mark of their own: controls, zero-width and direction-changing format
// characters, line and paragraph separators, the byte order mark.
constexpr Range kInvisible[] = {{0x00, 0x1F},     {0x7F, 0x9F},     {0xAD, 0xAD},
                                {0x061C, 0x061C}, {0x200B, 0x200F}, {0x2028, 0x202E},
                                {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}};

// Combining marks (Unicode 15, the blocks that hold nothing else).
constexpr Range kZeroWidth[] = {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},
                                {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};

// Width W or F in Unicode Standard Annex 11, by block, and the emoji blocks.
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},  {0xA960, 0xA97C}, {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};

template <std::size_t N>
bool contains(const Range (&ranges)[N], char32_t c) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](Range range) { return range.first <= c && c <= range.last; });
}

// Length of a UTF-8 sequence by its first byte; 0 for a byte that starts none.
std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) {
    return 1;
  }
  if (lead < 0xC0) {
    return 0;
  }
  if (lead < 0xE0) {
    return 2;
  }
  if (lead < 0xF0) {
    return 3;
  }
  return lead < 0xF8 ? 4 : 0;
}

// The smallest code point that needs so many bytes.
constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};

// Overlong forms and surrogates are not UTF-8 (RFC 3629, section 3).
bool is_well_formed(CodePoint point) {
  const bool surrogate = point.value >= 0xD800 && point.value <= 0xDFFF;
  return point.value >= kSmallest[point.bytes] && point.value <= 0x10FFFF && !surrogate;
}

CodePoint first_code_point(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = sequence_length(byte(0));
  if (length == 0 || length > text.size()) {
    return {};
  }
  if (length == 1) {
    return {byte(0), 1};
  }
  CodePoint point{byte(0) & (0x7FU >> length), length};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) {
      return {};
    }
    point.value = (point.value << 6) | (byte(i) & 0x3FU);
  }
  return is_well_formed(point) ? point : CodePoint();
}

void append_hex(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) {
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(byte));
  }
}

// Appends the first character of `text`, or its first byte if that is no character, in printable
// form; returns the number of bytes it stands for.
std::size_t append_printable(std::string& out, std::string_view text) {
  const CodePoint point = first_code_point(text);
  const std::size_t bytes = std::max<std::size_t>(point.bytes, 1);
  if (point.bytes == 0 || contains(kInvisible, point.value)) {
    append_hex(out, text.substr(0, bytes));
  } else {
    out.append(text.substr(0, bytes));
  }
  return bytes;
}

// The most of the beginning of `text` that takes no more than `columns`.
std::string_view beginning(std::string_view text, std::size_t columns) {
  std::size_t bytes = 0;
  for (std::size_t next = 0; bytes < text.size(); bytes = next) {
    next = bytes + std::max<std::size_t>(first_code_point(text.substr(bytes)).bytes, 1);
    if (display_width(text.substr(0, next)) > columns) break;
  }
  return text.substr(0, bytes);
}

// The same of its end.
std::string_view end_of(std::string_view text, std::size_t columns) {
  while (display_width(text) > columns) {
    text.remove_prefix(std::max<std::size_t>(first_code_point(text).bytes, 1));
  }
  return text;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    text.remove_prefix(append_printable(out, text));
  }
  return out;
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty() && out.size() <= kQuotedBytes) {
    if (text.front() == '"' || text.front() == '\\') {
      out += '\\';
    }
    text.remove_prefix(append_printable(out, text));
  }
  return out + (text.empty() ? "\"" : fmt::format("...\" and {} more bytes", text.size()));
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const bool wide = contains(kWide, point.value);
    width += point.bytes != 0 && contains(kZeroWidth, point.value) ? 0 : (wide ? 2 : 1);
    text.remove_prefix(std::max<std::size_t>(point.bytes, 1));
  }
  return width;
}

std::string shortened(std::string_view text, std::size_t columns) {
  REMAT_ASSERT(columns >= kGap.size() + 2);
  const std::size_t room = columns - kGap.size();
  if (display_width(text) <= columns) return std::string(text);
  return fmt::format("{}{}{}", beginning(text, (room + 1) / 2), kGap, end_of(text, room / 2));
}

}  // namespace remat
