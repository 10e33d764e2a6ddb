// Preloaded into a program, this shows it a wall clock that is WALL_SHIFT_S seconds off; every
// other clock, and every timer, goes on as it was: the machine has not run longer, its date is
// another. (libfaketime moves absolute timers of CLOCK_BOOTTIME along with the date, and a daemon
// that arms one then sleeps for days.) Thread: any. The shift is read once.
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

#include <cstdlib>

namespace {

time_t Shift() {
  static const time_t shift = [] {
    const char* text = std::getenv("WALL_SHIFT_S");
    return text == nullptr ? time_t{0} : static_cast<time_t>(std::strtoll(text, nullptr, 10));
  }();
  return shift;
}

using ClockGettime = int (*)(clockid_t, timespec*);

ClockGettime Real() {
  static const auto real = reinterpret_cast<ClockGettime>(::dlsym(RTLD_NEXT, "clock_gettime"));
  return real;
}

}  // namespace

// The declarations in the system's headers carry attributes that a definition here must repeat.
extern "C" {

int clock_gettime(clockid_t id, timespec* out) noexcept {
  const int result = Real()(id, out);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += Shift();
  return result;
}

int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  if (result == 0) *out = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1'000};
  return result;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);  // cannot fail for this clock
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
