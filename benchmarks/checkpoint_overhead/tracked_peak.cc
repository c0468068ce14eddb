// The tracker of the C++ contenders for the Python one (ctypes).
#include <optional>

#include <remat/memory.h>

namespace {
std::optional<remat::MemoryTracker> tracker;
}

extern "C" {
void tracked_peak_start() { tracker.emplace(); }
void tracked_peak_reset() { tracker->reset_peak(); }
long long tracked_peak_bytes() { return tracker->peak_bytes().count(); }
}
