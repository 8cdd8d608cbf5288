/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into the guest kernel's process: getrandom() from a seed instead of from this machine.
 *
 * It is the only entropy a guest built from guest.config takes from the host, so with it two runs of
 * one seed are equal. GUEST_SEED holds the seed in decimal (64 bits). The generator is splitmix64
 * (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), eight octets a step,
 * least significant first; what is left of a step at the end of a call is thrown away.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t state;

/* At load time, so that a bad seed ends the guest before it could make results nobody can repeat. */
__attribute__((constructor)) static void read_seed(void)
{
	const char *text = getenv("GUEST_SEED");
	char *end;

	errno = 0;
	if (text && *text >= '0' && *text <= '9') {
		state = strtoull(text, &end, 10);
		if (!errno && !*end)
			return;
	}
	fputs("seeded-random: GUEST_SEED must be a decimal number of 64 bits\n", stderr);
	exit(2);
}

static uint64_t next(void)
{
	/* One atomic addition per step keeps the sequence whole when two threads ask at once. */
	uint64_t z = __atomic_add_fetch(&state, UINT64_C(0x9e3779b97f4a7c15), __ATOMIC_RELAXED);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

ssize_t getrandom(void *buffer, size_t length, unsigned int flags)
{
	unsigned char *octet = buffer;
	uint64_t word = 0;

	(void)flags;
	for (size_t i = 0; i < length; i++) {
		if (i % 8 == 0)
			word = next();
		octet[i] = (unsigned char)(word >> (8 * (i % 8)));
	}
	return (ssize_t)length;
}
