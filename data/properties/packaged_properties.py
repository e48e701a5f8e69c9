"""The properties that matloop brings along: of its packaged data, and of published benchmarks."""

from __future__ import annotations

from collections.abc import Mapping

from matloop.data.properties.definition import Property

_ALL = (
    Property(
        name="formation_energy_per_atom", symbol="ΔHf", unit="eV/atom",
        label_en="formation energy", label_zh="形成能",
        description_en="PBE energy of formation from the elements at 0 K, per atom.",
        description_zh="0 K 下由单质生成的 PBE 形成能（每原子）。",
        lower=-6.0, upper=6.0,
    ),
    Property(
        name="energy_above_hull", symbol="Ehull", unit="eV/atom",
        label_en="energy above hull", label_zh="凸包以上能量",
        description_en="PBE energy above the convex hull of competing phases; 0 is stable at 0 K.",
        description_zh="相对于竞争相凸包的 PBE 能量；0 表示 0 K 下稳定。",
        lower=0.0, upper=6.0,
    ),
    Property(
        name="band_gap", symbol="Eg", unit="eV",
        label_en="band gap", label_zh="带隙",
        description_en="PBE (Kohn-Sham) band gap; typically 30-50 % below experiment.",
        description_zh="PBE（Kohn-Sham）带隙；通常比实验值低 30–50 %。",
        lower=0.0, upper=20.0,
    ),
    Property(
        name="refractive_index", symbol="n", unit="1",
        label_en="refractive index", label_zh="折射率",
        description_en="Static refractive index, square root of the mean eigenvalue of the "
        "electronic dielectric tensor (DFPT, PBE).",
        description_zh="静态折射率：电子介电张量平均本征值的平方根（DFPT，PBE）。",
        lower=1.0, upper=50.0, transform="log10",
    ),
    Property(
        name="bulk_modulus_vrh", symbol="K", unit="GPa",
        label_en="bulk modulus", label_zh="体积模量",
        description_en="Voigt-Reuss-Hill average bulk modulus (PBE).",
        description_zh="Voigt-Reuss-Hill 平均体积模量（PBE）。",
        lower=0.0, upper=1000.0, transform="log10",
    ),
    Property(
        name="shear_modulus_vrh", symbol="G", unit="GPa",
        label_en="shear modulus", label_zh="剪切模量",
        description_en="Voigt-Reuss-Hill average shear modulus (PBE).",
        description_zh="Voigt-Reuss-Hill 平均剪切模量（PBE）。",
        lower=0.0, upper=1000.0, transform="log10",
    ),
    Property(
        name="piezoelectric_modulus", symbol="e_max", unit="C/m2",
        label_en="piezoelectric modulus", label_zh="压电模量",
        description_en="Largest modulus over all directions, shear terms counted once as published (DFPT, PBE).",
        description_zh="各方向上最大的压电模量，剪切项按原文献只计一次（DFPT，PBE）。",
        lower=0.0, upper=100.0,
    ),
    Property(
        name="seebeck_p", symbol="S_p", unit="uV/K",
        label_en="Seebeck coefficient, p-type", label_zh="塞贝克系数 (p 型)",
        description_en="Mean Seebeck coefficient at 300 K and 1e18 holes/cm3, constant relaxation time.",
        description_zh="300 K、1e18 空穴/cm³ 下的平均塞贝克系数，恒定弛豫时间。",
        lower=-3000.0, upper=3000.0,
    ),
    Property(
        name="seebeck_n", symbol="S_n", unit="uV/K",
        label_en="Seebeck coefficient, n-type", label_zh="塞贝克系数 (n 型)",
        description_en="Mean Seebeck coefficient at 300 K and 1e18 electrons/cm3, constant relaxation time.",
        description_zh="300 K、1e18 电子/cm³ 下的平均塞贝克系数，恒定弛豫时间。",
        lower=-3000.0, upper=3000.0,
    ),
    # Of these no crystals with labels are packaged: measured labels are of compositions, or benchmarks bring them.
    Property(
        name="yield_strength", symbol="σy", unit="MPa",
        label_en="yield strength", label_zh="屈服强度",
        description_en="Measured yield strength of steels and other alloys.",
        description_zh="钢及其他合金的实测屈服强度。",
        lower=0.0, upper=10_000.0,
    ),
    Property(
        name="vickers_hardness", symbol="HV", unit="GPa", transform="log10",
        label_en="Vickers hardness", label_zh="维氏硬度",
        description_en="Measured Vickers hardness; it falls as the load of the indenter grows.",
        description_zh="实测维氏硬度，随压头载荷增大而降低。",
        lower=0.0, upper=200.0,
    ),
    Property(
        name="exfoliation_energy", symbol="Eexf", unit="meV/atom",
        label_en="exfoliation energy", label_zh="剥离能",
        description_en="Energy to lift one layer off a layered crystal (OptB88vdW).",
        description_zh="从层状晶体剥离一层所需的能量（OptB88vdW）。",
        lower=0.0, upper=10_000.0,
    ),
    Property(
        name="phonon_peak", symbol="ω", unit="1/cm",
        label_en="highest phonon peak", label_zh="最高声子峰",
        description_en="Frequency of the last peak of the phonon density of states (DFPT, PBEsol).",
        description_zh="声子态密度最后一个峰的频率（DFPT，PBEsol）。",
        lower=0.0, upper=10_000.0,
    ),
    Property(
        name="perovskite_formation_energy", symbol="ΔHf", unit="eV",
        label_en="formation energy of a perovskite cell", label_zh="钙钛矿晶胞形成能",
        description_en="RPBE energy of formation of the five-atom cell.",
        description_zh="五原子晶胞的 RPBE 形成能。",
        lower=-50.0, upper=50.0,
    ),
)  # fmt: skip

PACKAGED_PROPERTIES: Mapping[str, Property] = {known.name: known for known in _ALL}
"""Property name -> definition."""
