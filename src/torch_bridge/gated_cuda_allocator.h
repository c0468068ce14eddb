// LibTorch's CUDA allocator behind one that asks gates. Only for builds with CUDA, of LibTorch 2.11 or later.
// Tried on LibTorch 2.11.0+cu130.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

namespace remat::torch_bridge {

/// Asks the thread's AllocationGate before each block of a tensor, and has the allocator that was there before do
/// all the work: blocks are that one's own.
class GatedCudaAllocator final : public c10::cuda::CUDACachingAllocator::CUDAAllocator {
 public:
  /// Takes its predecessor's place, on the first call; more calls do nothing. Threads: any; best before others
  /// allocate.
  static void install();

  c10::DataPtr allocate(std::size_t bytes) override;

  // What follows is passed on.
  using Device = c10::DeviceIndex;
  using Pool = c10::MempoolId_t;

  bool initialized() override { return to_.initialized(); }
  void emptyCache(Pool pool) override { to_.emptyCache(pool); }
  c10::DeleterFnPtr raw_deleter() const override { return to_.raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    to_.copy_data(to, from, bytes);
  }
  bool is_simple_data_ptr(const c10::DataPtr& data) const override {
    return to_.is_simple_data_ptr(data);
  }
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(Device device) override {
    return to_.getDeviceStats(device);
  }
  void resetAccumulatedStats(Device device) override { to_.resetAccumulatedStats(device); }
  void resetPeakStats(Device device) override { to_.resetPeakStats(device); }
  std::pair<std::size_t, std::size_t> getMemoryInfo(Device device) override {
    return to_.getMemoryInfo(device);
  }
  void* raw_alloc(std::size_t bytes) override { return to_.raw_alloc(bytes); }
  void* raw_alloc_with_stream(std::size_t bytes, cudaStream_t stream) override {
    return to_.raw_alloc_with_stream(bytes, stream);
  }
  void raw_delete(void* data) override { to_.raw_delete(data); }
  void init(int devices) override { to_.init(devices); }
  double getMemoryFraction(Device device) override { return to_.getMemoryFraction(device); }
  void setMemoryFraction(double fraction, Device device) override {
    to_.setMemoryFraction(fraction, device);
  }
  std::vector<c10::cuda::CUDACachingAllocator::StreamSegmentSize> getExpandableSegmentSizes(
      Device device) override {
    return to_.getExpandableSegmentSizes(device);
  }
  void enable(bool value) override { to_.enable(value); }
  bool isEnabled() const override { return to_.isEnabled(); }
  void cacheInfo(Device device, std::size_t* largest) override { to_.cacheInfo(device, largest); }
  void* getBaseAllocation(void* data, std::size_t* size) override {
    return to_.getBaseAllocation(data, size);
  }
  using CUDAAllocator::recordStream;
  void recordStream(const c10::DataPtr& data, c10::cuda::CUDAStream stream) override {
    to_.recordStream(data, stream);
  }
  c10::cuda::CUDACachingAllocator::SnapshotInfo snapshot(Pool pool, bool traces) override {
    return to_.snapshot(pool, traces);
  }
  void beginAllocateToPool(Device device, Pool pool,
                           std::function<bool(cudaStream_t)> filter) override {
    to_.beginAllocateToPool(device, pool, std::move(filter));
  }
  void endAllocateToPool(Device device, Pool pool) override { to_.endAllocateToPool(device, pool); }
  void releasePool(Device device, Pool pool) override { to_.releasePool(device, pool); }
  int getPoolUseCount(Device device, Pool pool) override {
    return to_.getPoolUseCount(device, pool);
  }
  void createOrIncrefPool(Device device, Pool pool, std::shared_ptr<CUDAAllocator> with) override {
    to_.createOrIncrefPool(device, pool, std::move(with));
  }
  void setUseOnOOM(Device device, Pool pool, bool use) override {
    to_.setUseOnOOM(device, pool, use);
  }
  void setNoSplit(Device device, Pool pool) override { to_.setNoSplit(device, pool); }
  bool checkPoolLiveAllocations(Device device, Pool pool,
                                const std::unordered_set<void*>& expected) override {
    return to_.checkPoolLiveAllocations(device, pool, expected);
  }
  c10::cuda::CUDACachingAllocator::ShareableHandle shareIpcHandle(void* data) override {
    return to_.shareIpcHandle(data);
  }
  std::shared_ptr<void> getIpcDevPtr(std::string handle) override {
    return to_.getIpcDevPtr(std::move(handle));
  }
  bool isHistoryEnabled() override { return to_.isHistoryEnabled(); }
  void recordHistory(bool enabled, c10::CachingDeviceAllocator::CreateContextFn context,
                     std::size_t most, c10::CachingDeviceAllocator::RecordContext when, bool clear,
                     const std::vector<std::string>& skipped) override {
    to_.recordHistory(enabled, context, most, when, clear, skipped);
  }
  void recordAnnotation(const std::vector<std::pair<std::string, std::string>>& data) override {
    to_.recordAnnotation(data);
  }
  void pushCompileContext(std::string& context) override { to_.pushCompileContext(context); }
  void popCompileContext() override { to_.popCompileContext(); }
  void setUserMetadata(const std::string& data) override { to_.setUserMetadata(data); }
  std::string getUserMetadata() override { return to_.getUserMetadata(); }
  void attachOutOfMemoryObserver(
      c10::cuda::CUDACachingAllocator::OutOfMemoryObserver observer) override {
    to_.attachOutOfMemoryObserver(std::move(observer));
  }
  void attachAllocatorTraceTracker(
      c10::CachingDeviceAllocator::AllocatorTraceTracker tracker) override {
    to_.attachAllocatorTraceTracker(std::move(tracker));
  }
  void enablePeerAccess(Device device, Device other) override {
    to_.enablePeerAccess(device, other);
  }
  cudaError_t memcpyAsync(void* to, int to_device, const void* from, int from_device,
                          std::size_t bytes, cudaStream_t stream, bool p2p) override {
    return to_.memcpyAsync(to, to_device, from, from_device, bytes, stream, p2p);
  }
  std::shared_ptr<c10::cuda::CUDACachingAllocator::AllocatorState> getCheckpointState(
      Device device, Pool pool) override {
    return to_.getCheckpointState(device, pool);
  }
  c10::cuda::CUDACachingAllocator::CheckpointDelta setCheckpointPoolState(
      Device device,
      std::shared_ptr<c10::cuda::CUDACachingAllocator::AllocatorState> state) override {
    return to_.setCheckpointPoolState(device, std::move(state));
  }
  std::string name() override { return to_.name(); }

 private:
  explicit GatedCudaAllocator(CUDAAllocator& to) : to_(to) {}

  CUDAAllocator& to_;
};

}  // namespace remat::torch_bridge
