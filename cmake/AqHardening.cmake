# Compiler and linker flags of the whole tree: warnings are errors, the binaries are hardened.
add_library(aq_flags INTERFACE)

target_compile_options(aq_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Wimplicit-fallthrough -Werror
  -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-strict-overflow
  -fstack-protector-strong -fPIE
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond>
  # g++ 12 at -O2 sees overflows and uninitialised reads inside std::string, vector and variant that are not
  # there (GCC PR 105329, 105651, 80635); clang and the sanitizers look for real ones.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds> $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overread> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_link_options(aq_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code)
target_compile_definitions(aq_flags INTERFACE BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_FENCED_BLOCK)

if(AQMESH_SANITIZE)
  target_compile_options(aq_flags INTERFACE -fsanitize=${AQMESH_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(aq_flags INTERFACE -fsanitize=${AQMESH_SANITIZE})
else()
  target_compile_options(aq_flags INTERFACE -fstack-clash-protection
    $<$<CXX_COMPILER_ID:GNU>:-fcf-protection=full>
    $<$<CXX_COMPILER_ID:GNU>:-ftrivial-auto-var-init=zero>
    $<$<CXX_COMPILER_ID:GNU>:-fzero-call-used-regs=used-gpr>)
  target_compile_definitions(aq_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=3> _GLIBCXX_ASSERTIONS)
endif()

find_program(AQ_CCACHE ccache)
if(AQ_CCACHE)
  # Without this ccache passes by whatever uses a precompiled header, which is nearly everything here.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${AQ_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(aq_flags INTERFACE -fpch-preprocess)
  endif()
endif()
find_program(AQ_MOLD mold)
if(AQ_MOLD)
  target_link_options(aq_flags INTERFACE -fuse-ld=mold)
endif()
