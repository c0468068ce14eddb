// What the ordinary tests feed to the fuzzer's targets: its seeds, what it once found, and small changes of both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/targets.h"
#include "tests/testing/choices.h"
#include "tests/testing/temporary_file.h"

namespace remat::fuzz {

using Target = void (*)(const std::uint8_t* bytes, std::size_t size);

inline std::vector<std::filesystem::path> corpus(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(REMAT_SOURCE_DIR "/tests/fuzz/corpus/" + folder)) {
    files.push_back(entry.path());
  }
  EXPECT_GE(files.size(), 5U) << folder;
  return files;
}

inline void feed_text(Target target, const std::string& text) {
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  target(bytes.data(), bytes.size());
}

/// A number, or part of one, in a text.
struct Digits {
  std::size_t begin = 0;
  std::string text;
};

inline std::vector<Digits> digits_in(const std::string& text) {
  const std::string digits = "0123456789";
  std::vector<Digits> found;
  for (auto begin = text.find_first_of(digits); begin != std::string::npos;) {
    const auto end = std::min(text.find_first_not_of(digits, begin), text.size());
    found.push_back({begin, text.substr(begin, end - begin)});
    begin = text.find_first_of(digits, end);
  }
  return found;
}

/// `text` with one thing in it changed: mostly a number, which becomes another that is there, or one at the edge of
/// what there can be.
inline std::string changed_somewhere(std::string text, testing::Choices& choices) {
  const auto place_below = [&](std::size_t count) {
    return static_cast<std::size_t>(choices.below(static_cast<std::int64_t>(count)));
  };
  const auto numbers = digits_in(text);
  if (numbers.empty() || choices.one_in(4)) {
    const auto begin = place_below(text.size() + 1);
    const auto piece = text.substr(begin, place_below(40));
    return choices.one_in(2) ? text.erase(begin, piece.size()) : text.insert(begin, piece);
  }
  static const std::vector<std::string> edges{"0",
                                              "1",
                                              "-1",
                                              "1.5",
                                              "16777216",
                                              "4294967295",
                                              "9223372036854775807",
                                              "9223372036854775808"};
  const auto& number = numbers[place_below(numbers.size())];
  const auto by = choices.one_in(3) ? edges[place_below(edges.size())]
                                    : numbers[place_below(numbers.size())].text;
  return text.replace(number.begin, number.text.size(), by);
}

/// `each` times every file, changed in one to three places.
inline void feed_changes(Target target, const std::string& folder, int each) {
  testing::RandomChoices choices(2026);
  for (const auto& path : corpus(folder)) {
    const auto whole = testing::content_of(path.string());
    for (int i = 0; i < each; ++i) {
      auto text = changed_somewhere(whole, choices);
      for (auto left = choices.below(3); left > 0; --left) text = changed_somewhere(text, choices);
      EXPECT_NO_THROW(feed_text(target, text)) << path << ", changed: " << text;
    }
  }
}

/// Every file whole, and cut off at every byte.
inline void feed_corpus(Target target, const std::string& folder) {
  for (const auto& path : corpus(folder)) {
    const auto text = testing::content_of(path.string());
    for (std::size_t size = 0; size <= text.size(); ++size) {
      EXPECT_NO_THROW(feed_text(target, text.substr(0, size))) << path << ", " << size << " bytes";
    }
  }
}

}  // namespace remat::fuzz
