# One precompiled header for the tree, of what costs most and changes least. The command line and the tests have
# their own, with what each of their files includes.
set(AQ_PCH_HEADERS <algorithm> <array> <chrono> <cstdint> <cstring> <functional> <map> <memory> <optional> <set>
  <span> <string> <string_view> <variant> <vector>
  <absl/container/flat_hash_map.h> <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h>)
add_library(aq_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_include_directories(aq_pch PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_link_libraries(aq_pch PUBLIC aq_flags absl::status absl::statusor absl::flat_hash_map absl::flat_hash_set absl::strings)
target_precompile_headers(aq_pch PRIVATE ${AQ_PCH_HEADERS})

# aq_room(NAME [EXCLUDE sub...] [DEPS targets...] [PCH headers...]): the static library of the folder it is called in,
# made of every .cc below it except those under EXCLUDE. PCH: what nearly all of them include, beside the tree's.
function(aq_room name)
  cmake_parse_arguments(ROOM "" "" "EXCLUDE;DEPS;PCH" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(sub ${ROOM_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX "^${CMAKE_CURRENT_SOURCE_DIR}/${sub}/")
  endforeach()
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE aq_pch ${ROOM_DEPS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC aq_pch ${ROOM_DEPS})
  if(ROOM_PCH)
    list(TRANSFORM ROOM_PCH PREPEND ${CMAKE_SOURCE_DIR}/ OUTPUT_VARIABLE pch)
    target_precompile_headers(${name} PRIVATE ${AQ_PCH_HEADERS} ${pch})
  else()
    target_precompile_headers(${name} REUSE_FROM aq_pch)
  endif()
endfunction()
