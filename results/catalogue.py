"""The catalogue of indicators: what each counts, over which base, in which unit, and how it is broken down.

Ids are stable. Variants of one entry have a suffix after a slash (`IND-08/2+`). Rates are computed from
released counts after the noise, numerator and base of the same release; nothing here asks a school for more.

What the catalogue decides where the documents leave it open:

1. 请假, 免测 and 借读/转出/已排除 (dispositions 4, 5, 7) are deducted from 应测; IND-02/leave puts 请假 back.
   同意未登记 (8) is no refusal and is shown apart.
2. "预警率" of a group of pupils (IND-09 to IND-11, IND-26) is 需要关注及以上 (level 2 and 3).
3. The flags of the follow-up are independent of each other: a case closed after support at school was not
   referred. IND-28 and IND-33 have all pupils of first level 2 and 3 as their base, IND-29 has level 3.
4. IND-18 is the share of level 3 after the recheck among the rechecked of first level 2 and 3: 3 kept or
   raised, and level 2 raised.
5. Over a set of groups a pupil counts in the first three groups of the code order (`touch`), so 三台账
   (g1 to g3) are never cut short, the others may be; FS-02 says how many pupils were.

IND-05 adds up releases (`results.waves`). FS-.. are further numbers that reports need; they are not part of
the catalogue of indicators.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from plan.populations import Selection
from results.pupils import Population, population, union


@dataclass(frozen=True, slots=True)
class Indicator:
    """One entry of the catalogue.

    Attributes:
        id: as in the catalogue; variants of one entry have a suffix after a slash.
        name: zh.
        counted: the pupils counted, or the numerator.
        base: the denominator, or None for a count.
        by: dimensions that it is broken down by, besides the total and the plan's roster attributes.
        each: dimensions of which every number is for one code: of numerator and base alike.
        parts: dimensions of which every number is for one code of what is counted, over the whole base.
        waves: codes of the waves that it is about; "" for all.
        counting: unit of a count.
    """

    id: str
    name: str
    counted: Population
    base: Population | None
    by: tuple[str, ...]
    each: tuple[str, ...] = field(default=(), kw_only=True)
    parts: tuple[str, ...] = field(default=(), kw_only=True)
    waves: str = field(default="", kw_only=True)
    counting: str = field(default="人", kw_only=True)

    @property
    def unit(self) -> str:
        """人 (or 人次) for counts, % for rates."""
        return self.counting if self.base is None else "%"

    @property
    def definition(self) -> str:
        """What is counted, over which base, in zh."""
        return self.counted.name if self.base is None else f"{self.counted.name} ÷ {self.base.name}"

    @property
    def entry(self) -> str:
        """The id without the variant's suffix."""
        return self.id.partition("/")[0]

    @property
    def is_finding(self) -> bool:
        """Whether it says something of levels, scores or their follow-up, so that codebooks matter."""
        named = self.counted.dims | (self.base.dims if self.base else frozenset())
        return not {*named, *self.each, *self.parts} <= _PLAIN


_PLAIN = frozenset({"disposition", "stage", "grade", "sex"})

EVERYBODY = Population("全体学生", (({},),))
EXPECTED = population("应测人数", {"disposition": "1 2 3 6"})
EXPECTED_OR_ON_LEAVE = population("应测人数(含请假)", {"disposition": "1 2 3 4 6"})
EXPECTED_AND_WILLING = population("应测人数(不计未同意)", {"disposition": "1 2 3"})
NO_CONSENT_RECORDED = population("同意未登记人数", {"disposition": "8"})
REFUSED = population("监护人未同意/学生拒测人数", {"disposition": "6"})
TESTED = population("实测人数", {"disposition": "1 2"})
VALID = population("有效测评人数", {"disposition": "1"}, {"level": "0 1 2 3"}, {"alert": "low high"})
LEVELS: Mapping[str, Population] = {
    "0": population("一般观察人数", {"level": "0"}),
    "1": population("一般关注人数", {"level": "1"}),
    "2": population("需要关注人数", {"level": "2"}),
    "3": population("重点关注人数", {"level": "3"}),
    "9": population("无效/未评定人数", {"disposition": "2"}, {"disposition": "1 2", "level": "9"}),
}
"""Tested pupils by alert level; together they are `TESTED`."""

AT_LEAST_1 = population("一般关注及以上人数", {"level": "1 2 3"})
AT_LEAST_2 = population("需要关注及以上人数", {"level": "2 3"}, {"alert": "high"})

_VALID_1: Selection = {"disposition": frozenset("1")}
FACTOR_HIGH = Population("该因子偏高人数", ((_VALID_1,),))
SCORED = Population("该分数段有效测评人数", ((_VALID_1,),))
CRITICAL = population("风险题有提示人数", {"disposition": "1", "critical": "1"})
CRITICAL_ASKED = population("作答风险题的有效测评人数", {"disposition": "1", "critical": "0 1"})

_RECHECKED = {"level": "2 3", "recheck": "1 2 3"}
FOUND = population("已登记发现渠道人数", {"found_by": "1 2 3 4"})
FOUND_THERE = Population("该渠道发现人数", FOUND.pieces)
RECHECKED = population("已复测人数", _RECHECKED)
RECHECKED_SO = Population("复测为该结果人数", RECHECKED.pieces)
LEVEL_3_AFTER = union(
    "复测后为重点关注人数", {"level": "3", "recheck": "2 3"}, {"level": "2", "recheck": "3"}
)

_BOTH = "0 1 2 3"
BOTH_WAVES = population("秋季、春季均有效测评人数", {"level_before": _BOTH, "level": _BOTH})
RAISED = union(
    "春季等级升高人数",
    {"level_before": "0", "level": "1 2 3"},
    {"level_before": "1", "level": "2 3"},
    {"level_before": "2", "level": "3"},
)
UNCHANGED = union("春季等级持平人数", *({"level_before": level, "level": level} for level in "0123"))
LOWERED = union(
    "春季等级降低人数",
    {"level_before": "1", "level": "0"},
    {"level_before": "2", "level": "0 1"},
    {"level_before": "3", "level": "0 1 2"},
)
CALM_IN_AUTUMN = population("秋季为一般观察且春季有效测评人数", {"level_before": "0", "level": _BOTH})
NEWLY_ALERTED = population("其中春季为需要关注及以上人数", {"level_before": "0", "level": "2 3"})

FILE_BUILT = population("已建一生一策档案人数", {"level": "2 3", "file_built": "1"})
POOL = population("预警库该类变动人数", {"pool": "1 2 3"})
REVIEWED_IN_TIME = population("3 天内复核人数", {"level": "2 3", "review": "3"})
LEDGERS = population("该台账在册人数", {"group": "g1 g2 g3"})
IN_GROUP = Population("该类重点群体人数", (({},),))
CARED_FOR = population("已落实专人包案人数", {"level": "2 3", "carer_assigned": "1"})
HANDED_OVER = population("档案已移交人数", {"handed_over": "1"})
REFERRED = population("有转介记录人数", {"ref_dest": "1 2 3 4 5 6"})
REFERRED_THERE = Population("转介至该去向人数", REFERRED.pieces)
ON_LEAVE_OF_SCHOOL = population("休学人数", {"outcome": "3"})
BACK_AT_SCHOOL = population("复学人数", {"outcome": "4"})
VISITED = population("该台账中已家访人数", {"group": "g1 g2 g3", "home_visit": "1"})
HELD_FOUR = population("同属四类及以上重点群体人数", {"groups_held": "4"})
FLAGGED = population("预警学生中完成该步骤人数", {"level": "2 3"})


def _flagged(name: str, flag: str, levels: str = "2 3") -> Population:
    return population(name, {"level": levels, "flag": flag})


_LEVEL_DIMS = ("stage", "grade", "sex")
_STAGE = ("stage",)
_LEVEL = ("stage", "level")

CATALOGUE: tuple[Indicator, ...] = (
    Indicator("IND-01", "应测人数", EXPECTED, None, ("stage", "grade", "sex")),
    Indicator("IND-02", "测评覆盖率", TESTED, EXPECTED, ("stage", "grade")),
    Indicator("IND-02/leave", "测评覆盖率(含请假)", TESTED, EXPECTED_OR_ON_LEAVE, ("stage", "grade")),
    Indicator("IND-02b", "覆盖率(不计未同意)", TESTED, EXPECTED_AND_WILLING, _STAGE),
    Indicator("IND-03", "实测人数", TESTED, None, _STAGE),
    Indicator("IND-04", "有效率", VALID, TESTED, _STAGE),
    Indicator("IND-06", "未同意/拒测率", REFUSED, EVERYBODY, _STAGE),
    Indicator("IND-07/1", "一般关注检出人数", LEVELS["1"], None, _LEVEL_DIMS),
    Indicator("IND-07/2", "需要关注检出人数", LEVELS["2"], None, _LEVEL_DIMS),
    Indicator("IND-07/3", "重点关注检出人数", LEVELS["3"], None, _LEVEL_DIMS),
    Indicator("IND-08/1+", "预警检出率(一般关注及以上)", AT_LEAST_1, VALID, _LEVEL_DIMS),
    Indicator("IND-08/2+", "预警检出率(需要关注及以上)", AT_LEAST_2, VALID, _LEVEL_DIMS),
    Indicator("IND-08/3", "预警检出率(重点关注)", LEVELS["3"], VALID, _LEVEL_DIMS),
    Indicator("IND-09", "住校生/走读生预警率", AT_LEAST_2, VALID, _STAGE, each=("boarding",)),
    Indicator("IND-10", "留守学生预警率", AT_LEAST_2, VALID, _STAGE, each=("left_behind",)),
    Indicator("IND-11", "不同家庭结构预警率", AT_LEAST_2, VALID, _STAGE, each=("family",)),
    Indicator("IND-12", "因子偏高率", FACTOR_HIGH, VALID, ("stage", "sex"), parts=("factor",)),
    Indicator("IND-13", "发现渠道构成", FOUND_THERE, FOUND, _STAGE, parts=("found_by",)),
    Indicator("IND-14", "分数段分布", SCORED, None, _STAGE, parts=("band",)),
    Indicator("IND-15", "风险题提示率", CRITICAL, CRITICAL_ASKED, ("stage", "sex")),
    Indicator("IND-16", "复测率", RECHECKED, AT_LEAST_2, _LEVEL),
    Indicator("IND-17", "复测后降级/维持/升级构成", RECHECKED_SO, RECHECKED, ("level",), parts=("recheck",)),
    Indicator("IND-18", "复核后重点关注率", LEVEL_3_AFTER, RECHECKED, _STAGE),
    Indicator("IND-19", "春季动态监测覆盖率", TESTED, EXPECTED, _STAGE, waves="S"),
    Indicator("IND-20/up", "预警转归(升)", RAISED, BOTH_WAVES, _STAGE),
    Indicator("IND-20/same", "预警转归(平)", UNCHANGED, BOTH_WAVES, _STAGE),
    Indicator("IND-20/down", "预警转归(降)", LOWERED, BOTH_WAVES, _STAGE),
    Indicator("IND-21", "新增预警率", NEWLY_ALERTED, CALM_IN_AUTUMN, _STAGE),
    Indicator("IND-22", "一生一策建档率", FILE_BUILT, AT_LEAST_2, _LEVEL),
    Indicator("IND-23", "预警库新增/在册/销号人数", POOL, None, _STAGE, parts=("pool",)),
    Indicator("IND-24", "预警复核及时率", REVIEWED_IN_TIME, AT_LEAST_2, ("level",)),
    Indicator("IND-25", "三台账人数", LEDGERS, None, _STAGE, each=("group",)),
    Indicator("IND-26", "重点群体预警率", AT_LEAST_2, IN_GROUP, (), each=("group",)),
    Indicator("IND-26/count", "重点群体预警人数", AT_LEAST_2, None, (), each=("group",)),
    Indicator("IND-27", "专人包案率", CARED_FOR, AT_LEAST_2, ("level",)),
    Indicator("IND-28", "监护人告知率", _flagged("已告知监护人人数", "guardian_told"), AT_LEAST_2, _STAGE),
    Indicator(
        "IND-29/advised",
        "转介率",
        _flagged("重点关注学生中建议转介人数", "referral_advised", "3"),
        LEVELS["3"],
        _STAGE,
    ),
    Indicator(
        "IND-29/attended",
        "已就诊率",
        _flagged("重点关注学生中已就诊人数", "referral_attended", "3"),
        LEVELS["3"],
        _STAGE,
    ),
    Indicator("IND-30", "转介去向构成", REFERRED_THERE, REFERRED, _STAGE, parts=("ref_dest",)),
    Indicator(
        "IND-30/free",
        "困境学生免费就医人数",
        _flagged("预警学生中绿色通道免费就医人数", "green_channel_free"),
        None,
        _STAGE,
    ),
    Indicator("IND-31", "档案移交人数", HANDED_OVER, None, ()),
    Indicator("IND-32/leave", "休学人数", ON_LEAVE_OF_SCHOOL, None, _STAGE),
    Indicator("IND-32/back", "复学人数", BACK_AT_SCHOOL, None, _STAGE),
    Indicator("IND-33", "结案率", _flagged("已结案人数", "closed"), AT_LEAST_2, _STAGE),
    Indicator("IND-34", "家访覆盖率(三台账)", VISITED, LEDGERS, (), each=("group",)),
)
"""The indicators of one release, in the order of the catalogue; IND-05 is of several (`CUMULATIVE`)."""

CUMULATIVE = Indicator("IND-05", "累计测评人次", TESTED, None, (), counting="人次")

NO_CONSENT = Indicator("FS-01", NO_CONSENT_RECORDED.name, NO_CONSENT_RECORDED, None, _STAGE)
LEVEL_COUNTS = Indicator("FS-03", "各等级人数", TESTED, None, _STAGE, parts=("level",))
MATRIX = Indicator(
    "FS-04", "秋季等级×春季等级", BOTH_WAVES, None, _STAGE, parts=("level_before", "level"), waves="S"
)
STEP_COUNTS = Indicator("FS-05", "各步骤人数", FLAGGED, None, (), parts=("flag",))
STEP_RATES = Indicator("FS-06", "各步骤占预警学生比例", FLAGGED, AT_LEAST_2, (), parts=("flag",))
ALERTED = Indicator("FS-07", "需要关注及以上人数", AT_LEAST_2, None, ("stage", "level"))
DISPOSITIONS = Indicator("FS-08", "测评情况", EVERYBODY, None, ("stage", "grade"), parts=("disposition",))

SUPPORT: tuple[Indicator, ...] = (
    NO_CONSENT,
    Indicator("FS-02", HELD_FOUR.name, HELD_FOUR, None, ()),
    LEVEL_COUNTS,
    MATRIX,
    STEP_COUNTS,
    STEP_RATES,
    ALERTED,
    DISPOSITIONS,
)
"""Further numbers that reports and pages show beside the indicators."""
