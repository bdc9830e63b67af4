"""Schools' facts as tests need them: one that is whole, and changes of it."""

from __future__ import annotations

from collections.abc import Mapping

from results.facts import InstitutionFacts, parse_facts

YEAR = "2026-2027"
WHOLE: Mapping[str, object] = {
    "school_name": "第一小学",
    "school_code": ["3153250001"],
    "county_code": "532501",
    "stages": ["primary"],
    "urban_rural": "1",
    "is_boarding": "0",
    "n_students": 800,
    "n_students_g4plus": 400,
    "n_boarders": 0,
    "n_classes": 20,
    "teachers_n": 60,
    "teacher_full": 1,
    "teacher_part": 1,
    "head_teacher_n": 20,
    "cert_B_headteachers": 16,
    "cert_C_teachers_n": 60,
    "room_standard": "1",
    "room_open_hours_week": "10.5",
    "room_functions": ["individual", "group"],
    "lessons_per_class_per_2weeks": "1",
    "lesson_hours_year": 12,
    "class_officer_classes": 19,
    "training_hours_per_psych_teacher": "24",
    "vendor_nda": "1",
    "vendor_nda_until": "2027-08-31",
    "instruments_used": ["MHT"],
}


def facts(node: str = "s01", **changes: object) -> InstitutionFacts:
    """A school's facts; None takes an answer away."""
    raw = {name: value for name, value in {**WHOLE, **changes}.items() if value is not None}
    return parse_facts(node, YEAR, raw)
