/// Windows whose targets somebody prepares by asking a network: a teacher, or the student's average.
#pragma once

#include "policy/rng.h"

/// Some windows, and what the student is to learn of them.
typedef struct dpc_lesson {
  int count;
  dpc_rng_key key;
  uint32_t plan;         // with key and number it fixes what is asked of a window
  uint32_t sample;       // number of the first window
  const float* average;  // [parameters] of the student
  const float* cond;     // [count x condition], normalised
  const float* noise;    // [count x chunk], standard normals
  float* chunk;          // in: [count x chunk], as recorded; out: what the network should answer
  float* noisy;          // out, [count x chunk]: what it is asked
  float* timestep;       // out, [count]
  float* step_size;      // out, [count]: of a shortcut; who prepares others leaves it
  double* weight;        // out, [count], of a window's squared error
} dpc_lesson;
