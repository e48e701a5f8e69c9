"""What is cited for packaged data is what the attribution of the data sets says."""

from matloop.data.packaged.citations import CITATIONS, cited_in
from matloop.data.packaged.materials import MATERIALS_FILE
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from matloop.data.training.packaged_tables import labelled_table


def test_citations_are_those_of_the_packaged_data() -> None:
    attribution = (MATERIALS_FILE.parent / "ATTRIBUTION.md").read_text(encoding="utf-8")
    for doi, citation in CITATIONS.items():
        assert citation.endswith(f"doi:{doi}")
        assert doi in attribution


def test_every_packaged_label_has_a_citation() -> None:
    for table in map(labelled_table, ("materials", "transport")):
        assert all(table.training_set(name).citation for name in PACKAGED_PROPERTIES if table.has(name))


def test_a_text_without_a_known_doi_cites_nothing() -> None:
    assert cited_in("derived") == cited_in("doi:10.1/unknown") == ""
