// What a call complains of.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include <remat/error.h>

namespace remat::testing {

/// The message of the InvalidArgument that `call` throws; a failed expectation if it throws none.
template <class Call>
std::string complaint_of(Call call) {
  try {
    call();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// `text` with the first `from` in it replaced, which must be there.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return place == std::string::npos ? text : text.replace(place, from.size(), to);
}

}  // namespace remat::testing
