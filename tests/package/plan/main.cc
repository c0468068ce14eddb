#include <remat/bytes.h>
#include <remat/error.h>
#include <remat/placement.h>
#include <remat/version.h>

int main() {
  const auto segments = remat::Placement::parse("every:2").segments(5);
  try {
    remat::Bytes::parse("lots");
  } catch (const remat::Error&) {
    return segments.size() == 3 ? 0 : 1;
  }
  return 1;
}
