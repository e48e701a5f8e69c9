"""Compiled kernels over a neighbour list: bond weights, statistics of sites and crystals, stiffness of bond networks.

The formulas are explained in :mod:`matloop.featurizers.crystal_local`. None of these kernels calls a kernel of another
file, because the disk cache of numba would not notice a change there.
"""

from __future__ import annotations

import numba
import numpy as np

COULOMB = 14.399645  # e^2 / (4 pi epsilon_0) in eV Å, CODATA 2018
GPA = 160.2176634  # eV/Å3 in GPa
_REGULARISATION = 1e-8  # share of the stiffest spring, since a shift of a whole network costs no energy

BASIC = 12  # statistics of a site before the property differences


@numba.njit(cache=True, nogil=True)
def _radial_weight(x, inner, outer):  # type: ignore[no-untyped-def]
    if x <= inner:
        return 1.0
    return 0.5 + 0.5 * np.cos(np.pi * (x - inner) / (outer - inner)) if x < outer else 0.0


@numba.njit(cache=True, nogil=True)
def _unscreened(from_here, from_there, lowest, highest):  # type: ignore[no-untyped-def]
    """Share of a bond that an atom leaves; its squared distances from both ends are in units of the squared length."""
    apart = (from_here - from_there) ** 2
    if apart >= 1.0:
        return 1.0
    y = ((2.0 * (from_here + from_there) - apart - 1.0) / (1.0 - apart) - lowest) / (highest - lowest)
    return 1.0 if y >= 1.0 else (1.0 - (1.0 - max(y, 0.0)) ** 4) ** 2


@numba.njit(cache=True, nogil=True)
def bond_weights(offsets, sites, vectors, distances, species, radii, bounds, screening):  # type: ignore[no-untyped-def]
    """Compute the weight of each pair, shape (pairs,).

    Args:
        offsets: Of the neighbour list, shape (sites + 1,).
        sites: Site of each neighbour.
        vectors: To each neighbour, Å.
        distances: To each neighbour, Å.
        species: Atomic number of each site.
        radii: Covalent radius in Å by atomic number.
        bounds: Reduced distance up to which a bond counts in full, and beyond which there is no bond.
        screening: Ellipse parameter up to which an atom screens a bond completely, and beyond which not at all.
    """
    radial, weights = np.empty(len(distances)), np.zeros(len(distances))
    for s in range(len(offsets) - 1):
        for p in range(offsets[s], offsets[s + 1]):
            reduced = distances[p] / (radii[species[s]] + radii[species[sites[p]]])
            radial[p] = _radial_weight(reduced, bounds[0], bounds[1])
        for p in range(offsets[s], offsets[s + 1]):
            weight, squared, radius = radial[p], distances[p] ** 2, radii[species[sites[p]]]
            for q in range(offsets[s], offsets[s + 1]):
                # Beyond these squared lengths of the bond an atom can no longer screen it.
                here = distances[q] ** 2 / squared
                if q == p or radial[q] <= 0.0 or weight <= 0.0 or here > 1.25:
                    continue
                x, y, z = vectors[q, 0] - vectors[p, 0], vectors[q, 1] - vectors[p, 1], vectors[q, 2] - vectors[p, 2]
                there = x * x + y * y + z * z
                left = _unscreened(here, there / squared, screening[0], screening[1])
                if left < 1.0:
                    reduced = np.sqrt(there) / (radius + radii[species[sites[q]]])
                    weight *= 1.0 - radial[q] * _radial_weight(reduced, bounds[0], bounds[1]) * (1.0 - left)
            weights[p] = weight if weight > 1e-12 else 0.0
    return weights


@numba.njit(cache=True, nogil=True)
def site_statistics(offsets, sites, vectors, distances, weights, species, radii, table, outer):  # type: ignore[no-untyped-def]
    """Compute statistics of each site over its neighbours, shape (sites, BASIC + table.shape[1] - 1).

    Args:
        offsets: Of the neighbour list, shape (sites + 1,).
        sites: Site of each neighbour.
        vectors: To each neighbour, Å.
        distances: To each neighbour, Å.
        weights: Of each neighbour.
        species: Atomic number of each site.
        radii: Covalent radius in Å by atomic number.
        table: By atomic number; the electronegativity, then the properties whose differences are taken.
        outer: Reduced distance at which weights vanish.
    """
    width = table.shape[1] - 1
    values = np.zeros((len(offsets) - 1, BASIC + width))
    for s in range(len(offsets) - 1):
        out, z, radius = values[s], species[s], radii[species[s]]
        total, first, second, shortest, length, ionic, cubes = 0.0, 0.0, 0.0, outer, 0.0, 0.0, 0.0
        for p in range(offsets[s], offsets[s + 1]):
            w, other = weights[p], species[sites[p]]
            if w <= 0.0:
                continue
            x = distances[p] / (radius + radii[other])
            total, first, second = total + w, first + w * x, second + w * x * x
            shortest, length = min(shortest, x), length + w * distances[p]
            ionic += w * (1.0 - np.exp(-0.25 * (table[z, 0] - table[other, 0]) ** 2))
            cubes += w * (x * radius) ** 3
            for q in range(width):
                out[BASIC + q] += w * abs(table[z, q + 1] - table[other, q + 1])
        if total <= 0.0:
            out[1], out[3], out[4] = outer, outer, 2.0 * outer * radius
            out[11] = 4.0 / 3.0 * np.pi * (outer * radius) ** 3
            continue
        out[0], out[1], out[3], out[4] = total, first / total, shortest, length / total
        out[2] = np.sqrt(max(second / total - (first / total) ** 2, 0.0))
        out[5] = ionic / total
        _order_parameters(vectors, distances, weights, offsets[s], offsets[s + 1], out[6:11])
        out[11] = 4.0 / 3.0 * np.pi * cubes / total
        for q in range(width):
            out[BASIC + q] /= total
    return values


@numba.njit(cache=True, nogil=True)
def _order_parameters(vectors, distances, weights, start, stop, out):  # type: ignore[no-untyped-def]
    """Compute the order parameters q1, q2, q3, q4, q6 of one site from the Legendre polynomials of its bond angles."""
    total = 0.0
    for p in range(start, stop):
        total += weights[p]
        for q in range(p, stop):
            both = weights[p] * weights[q]
            if both <= 0.0:
                continue
            c = vectors[p, 0] * vectors[q, 0] + vectors[p, 1] * vectors[q, 1] + vectors[p, 2] * vectors[q, 2]
            c /= distances[p] * distances[q]
            both *= 1.0 if p == q else 2.0
            cc = c * c
            out[0] += both * c
            out[1] += both * (1.5 * cc - 0.5)
            out[2] += both * (2.5 * cc - 1.5) * c
            out[3] += both * ((4.375 * cc - 3.75) * cc + 0.375)
            out[4] += both * (((14.4375 * cc - 19.6875) * cc + 6.5625) * cc - 0.3125)
    for order in range(5):
        # A sum that is zero by symmetry leaves a rounding error, whose root would be a million times larger.
        share = out[order] / (total * total)
        out[order] = np.sqrt(share) if share > 1e-12 else 0.0


@numba.njit(cache=True, nogil=True)
def over_sites(crystal_offsets, values):  # type: ignore[no-untyped-def]
    """Compute mean, mean absolute deviation, minimum and maximum over the sites of each crystal, (n, 4 * columns)."""
    n, columns = len(crystal_offsets) - 1, values.shape[1]
    out = np.zeros((n, 4 * columns))
    for i in range(n):
        start, stop = crystal_offsets[i], crystal_offsets[i + 1]
        for q in range(columns):
            mean, deviation, low, high = 0.0, 0.0, np.inf, -np.inf
            for s in range(start, stop):
                mean += values[s, q]
                low, high = min(low, values[s, q]), max(high, values[s, q])
            mean /= stop - start
            for s in range(start, stop):
                deviation += abs(values[s, q] - mean)
            at = 4 * q
            out[i, at], out[i, at + 1], out[i, at + 2], out[i, at + 3] = mean, deviation / (stop - start), low, high
    return out


@numba.njit(cache=True, nogil=True)
def force_constants(offsets, sites, distances, weights, species, coordination, charge, power):  # type: ignore[no-untyped-def]
    """``w sqrt(c_i c_j / (W_i W_j)) / d^power`` of each pair, shape (pairs,)."""
    constants = np.zeros(len(distances))
    for s in range(len(offsets) - 1):
        for p in range(offsets[s], offsets[s + 1]):
            if weights[p] > 0.0:
                share = charge[species[s]] * charge[species[sites[p]]] / (coordination[s] * coordination[sites[p]])
                constants[p] = weights[p] * np.sqrt(share) / distances[p] ** power
    return constants


@numba.njit(cache=True, nogil=True)
def network_stiffness(crystal_offsets, offsets, sites, vectors, distances, constants, volumes, sideways):  # type: ignore[no-untyped-def]
    """Compute the elastic tensor of the relaxed spring network of each crystal, in Kelvin notation, shape (n, 6, 6).

    Args:
        crystal_offsets: Sites of each crystal, shape (n + 1,).
        offsets: Of the neighbour list, shape (sites + 1,).
        sites: Site of each neighbour.
        vectors: To each neighbour, Å.
        distances: To each neighbour, Å.
        constants: Force constant of each pair along the bond; zero for no bond.
        volumes: Å3, shape (n,).
        sideways: Force constant across a bond, as a share of that along it.
    """
    n = len(crystal_offsets) - 1
    tensors = np.zeros((n, 6, 6))
    spring, strain, pull, half = np.zeros((3, 3)), np.zeros((3, 6)), np.zeros((3, 6)), np.sqrt(0.5)
    for i in range(n):
        start, size = crystal_offsets[i], 3 * (crystal_offsets[i + 1] - crystal_offsets[i])
        dynamical, coupling, stiffest = np.zeros((size, size)), np.zeros((size, 6)), 0.0
        for s in range(start, crystal_offsets[i + 1]):
            a = 3 * (s - start)
            for p in range(offsets[s], offsets[s + 1]):
                if constants[p] <= 0.0:
                    continue
                b, v = 3 * (sites[p] - start), vectors[p]
                # A strain e in Kelvin notation moves the far end of the bond by strain @ e.
                strain[0, 0], strain[1, 1], strain[2, 2] = v[0], v[1], v[2]
                strain[1, 3], strain[2, 3] = half * v[2], half * v[1]
                strain[0, 4], strain[2, 4] = half * v[2], half * v[0]
                strain[0, 5], strain[1, 5] = half * v[1], half * v[0]
                for j in range(3):
                    for k in range(3):
                        spring[j, k] = (1.0 - sideways) * v[j] * v[k] / distances[p] ** 2
                    spring[j, j] += sideways
                    for k in range(3):
                        spring[j, k] *= constants[p]
                        dynamical[a + j, a + k] += spring[j, k]
                        dynamical[a + j, b + k] -= spring[j, k]
                for j in range(3):
                    for k in range(6):
                        pull[j, k] = (
                            spring[j, 0] * strain[0, k] + spring[j, 1] * strain[1, k] + spring[j, 2] * strain[2, k]
                        )
                        coupling[a + j, k] -= pull[j, k]
                for j in range(6):
                    for k in range(6):
                        tensors[i, j, k] += 0.5 * (
                            strain[0, j] * pull[0, k] + strain[1, j] * pull[1, k] + strain[2, j] * pull[2, k]
                        )
        for j in range(size):
            stiffest = max(stiffest, dynamical[j, j])
        if stiffest > 0.0 and size > 3:  # in a cell with one site no atom relaxes
            for j in range(size):
                dynamical[j, j] += _REGULARISATION * stiffest
            tensors[i] -= coupling.T @ np.linalg.solve(dynamical, coupling)
        tensors[i] /= volumes[i]
    return tensors
