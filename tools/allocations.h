/// Counts what this program takes from the heap, in our code and in every library: a program that
/// links allocations.c has its own malloc in front of the C library's.
#pragma once

#include "policy/base.h"

/// Calls of malloc, free and their kin so far, in all threads; -1 where they cannot be counted
/// (sanitizers have a malloc of their own).
/// Allocates: no. Blocks: no. Thread: any.
int64_t dpc_allocations(void);

/// The same, in the calling thread.
/// Allocates: no. Blocks: no. Thread: any.
int64_t dpc_allocations_here(void);
