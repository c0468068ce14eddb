// The tracker of the C++ contenders for the Python one (ctypes).
#include <optional>

#include <remat/memory.h>

namespace {
std::optional<remat::MemoryTracker> tracker;
}

extern "C" {
void tracked_peak_start() { tracker.emplace(); }
/// To be called before Python exits: a tracker has to end before its thread's own variables do.
void tracked_peak_stop() { tracker.reset(); }
void tracked_peak_reset() { tracker->reset_peak(); }
long long tracked_peak_bytes() { return tracker->peak_bytes().count(); }
}
