import unittest

import check
from check import Invalid


class Bodies(unittest.TestCase):
    def test_all_that_is_wrong_is_told_in_the_order_of_the_fields(self):
        with self.assertRaises(Invalid) as raised:
            check.new_task({"title": "", "description": 5, "tags": ["a", 1], "priority": "urgent"})
        told = [(issue["type"], issue["loc"]) for issue in raised.exception.issues]
        expected = [("string_too_short", "title"), ("string_type", "description"), ("enum", "priority")]
        self.assertEqual(told, [(kind, ["body", name]) for kind, name in expected] + [("string_type", ["body", "tags", 1])])

    def test_pydantics_words_are_booleans(self):
        for given, meant in [("yes", True), ("OFF", False), (1, True), (0.0, False), (True, True)]:
            self.assertIs(check.boolean([], given), meant)

    def test_a_date_without_an_offset_is_of_utc(self):
        self.assertEqual(check.moment([], "2030-01-02").isoformat(), "2030-01-02T00:00:00+00:00")
        self.assertEqual(check.moment([], "2030-01-02T10:00:00+05:00").isoformat(), "2030-01-02T10:00:00+05:00")


if __name__ == "__main__":
    unittest.main()
