"""Words of a pack in both languages, side by side, so that whoever reviews one sees the other.

They are no messages of a command: a pack speaks its own language, whatever the process around it speaks, and
a lawyer reads both. What is said of a law names only sources listed in docs/zh/README.md,
and carries `LAWYER`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from paper.speech import Speech


@dataclass(frozen=True, slots=True)
class Both:
    """One text in both languages, with the same `%(name)s` places."""

    zh: str
    en: str


LAWYER: Final = Both("【律师审核】", "[for a lawyer to check] ")
UNSTATED: Final = Both("未说明（待填）", "not stated (to be filled in)")


@dataclass(frozen=True, slots=True)
class Voice:
    """Says texts in one language."""

    speech: Speech

    def say(self, words: Both, **values: object) -> str:
        """Say a text with its values."""
        return self.speech.choose(words.zh, words.en) % values

    def word(self, table: Mapping[str, Both], code: str) -> str:
        """Say a code's word; a code without one stays as it is."""
        return self.say(table[code]) if code in table else code

    def listed(self, items: tuple[str, ...] | list[str]) -> str:
        """Join items as the language does; a dash for none."""
        return self.speech.choose("、", ", ").join(items) or "—"

    def yes(self, flag: int) -> str:
        """Say yes or no."""
        return self.speech.choose("是" if flag else "否", "yes" if flag else "no")


STATES: Final[Mapping[str, Both]] = {
    "draft": Both("待批准", "waiting for approvals"),
    "collecting": Both("收集中", "collecting"),
    "checking": Both("核对中", "checking"),
    "agreed": Both("已同意", "agreed"),
    "unsealed": Both("已开封", "unsealed"),
    "released": Both("已发布", "released"),
    "aborted": Both("已终止", "ended"),
}
ENDS: Final[Mapping[str, Both]] = {
    "cancelled": Both("县级终止", "ended by the county"),
    "reissued": Both("由另一方案代替", "replaced by another plan"),
    "abandoned": Both("审计方弃权，无法打开", "abandoned by its auditors, can never be opened"),
    "corrupt": Both("合计超出界限，未公布任何数", "the sum was out of bounds, no number was published"),
}
STANDINGS: Final[Mapping[str, Both]] = {
    "valid": Both("有效", "valid"),
    "corrected": Both("已更正", "corrected"),
    "withdrawn": Both("已撤回", "withdrawn"),
}
REASONS: Final[Mapping[str, Both]] = {
    "schools-missing": Both("有学校未报", "schools are missing"),
    "holiday": Both("放假", "holidays"),
    "technical-fault": Both("技术故障", "a technical fault"),
    "auditor-away": Both("审计方缺席", "an auditor is away"),
    "wrong-terms": Both("方案条款有误", "the plan's terms were wrong"),
    "expired": Both("已过期限", "it expired"),
    "no-longer-needed": Both("不再需要", "no longer needed"),
    "reissued": Both("由另一方案代替", "replaced by another plan"),
    "school-miscounted": Both("学校计数有误", "a school had miscounted"),
    "wrong-codebook": Both("量表口径有误", "a codebook was wrong"),
    "wrong-records": Both("记录有误", "records were wrong"),
    "replaced": Both("以新数为准", "newer numbers take their place"),
    "other": Both("其他原因，由县级另行说明", "another reason, told by the county itself"),
    "cancelled": Both("县级已终止", "the county has ended it"),
    "key-lost": Both("密钥丢失", "its key was lost"),
    "key-stolen": Both("密钥被盗", "its key was stolen"),
    "closed": Both("撤并", "closed"),
    "released": Both("已发布", "released"),
}
REFUSALS: Final[Mapping[str, Both]] = {
    "box-unopenable": Both("密封件打不开", "a sealed box does not open"),
    "seed-mismatch": Both("种子与承诺不符", "seeds do not match their commitments"),
    "copied-seed": Both("种子与他报相同", "a seed stands in an earlier report"),
    "copied-encapsulation": Both("密封件与他报相同", "an encapsulation stands in an earlier report"),
    "min-group": Both("所在组学校过少", "its group of schools is too small"),
}
FORMS: Final[Mapping[str, Both]] = {
    "a": Both("学校保管（记录在学校电脑）", "held by the school (records on the school's computer)"),
    "b": Both(
        "平台托管（供应商为每校单设数据舱）", "hosted on the platform (one vault a school at the vendor)"
    ),
    "c": Both("中心校代管（教学点等）", "hosted by the central school (teaching points)"),
    "": Both("名册未载明", "not stated in the roster"),
}
WAVES: Final[Mapping[str, Both]] = {
    "A": Both("秋季", "autumn"),
    "S": Both("春季", "spring"),
    "X": Both("专项", "special"),
}
CONSENTS: Final[Mapping[str, Both]] = {
    "require": Both(
        "未登记同意的不计任何心理数据", "without recorded consent nothing psychological is counted"
    ),
    "record-only": Both("只登记同意情况", "consent is only recorded"),
}
CLASSES: Final[Mapping[str, Both]] = {
    "internal": Both("内部", "internal"),
    "on-request": Both("依申请", "on request"),
    "public": Both("主动公开", "public"),
}
RELATIONS: Final[Mapping[str, Both]] = {
    "replace-one": Both("换一名学生的记录", "one pupil's record replaced"),
    "add-remove": Both("加减一名学生的记录", "one pupil's record added or removed"),
}
KINDS: Final[Mapping[str, Both]] = {
    "production": Both("正式", "production"),
    "demo": Both("演示", "demonstration"),
}
OUTCOMES: Final[Mapping[str, Both]] = {
    "PASS": Both("通过", "passed"),
    "FAIL": Both("未通过", "FAILED"),
    "SKIPPED": Both("未做", "skipped"),
    "INCOMPLETE": Both("不完整", "incomplete"),
    "REFUSED": Both("被拒绝", "refused"),
}
TRIALS: Final[Mapping[str, Both]] = {
    "replay": Both("重算", "replay"),
    "rehearse": Both("演练", "rehearsal"),
    "selftest": Both("自检", "self-test"),
}
KEY_CHANGES: Final[Mapping[str, Both]] = {
    "coordinator": Both("县级声明密钥更换", "new key of the coordinator"),
    "log": Both("日志密钥更换", "new key of the log"),
    "ca": Both("证书签发机构更换", "new certificate authority"),
    "auditor-joined": Both("审计方加入", "an auditor joined"),
    "auditor-rolled": Both("审计方更换密钥", "an auditor rolled its keys over"),
    "auditor-left": Both("审计方退出", "an auditor left"),
    "schools-rolled": Both("学校更换报送密钥", "schools with new report keys"),
}
STATEMENTS: Final[Mapping[str, Both]] = {
    "abandon": Both("弃权", "abandonment"),
    "agreement": Both("同意", "agreement"),
    "approval": Both("批准", "approval"),
    "cancel": Both("县级终止", "end by the county"),
    "candidates": Both("候选名单", "candidates"),
    "checked": Both("核对结果", "check"),
    "close": Both("截止", "close"),
    "correction": Both("更正或撤回", "correction"),
    "extended": Both("准予延期", "extension granted"),
    "extension": Both("申请延期", "extension"),
    "opening": Both("开封", "opening"),
    "plan": Both("方案", "plan"),
    "release": Both("发布", "release"),
    "replayed": Both("现场重算", "replay"),
    "report": Both("报送", "report"),
    "revoke": Both("除名", "revocation"),
    "roster": Both("名册", "roster"),
}
TOPICS: Final[Mapping[str, Both]] = {
    "controllers": Both("个人信息处理者", "who decides about purposes and means"),
    "admin_accounts": Both("平台局端管理账号由谁持有", "who holds the bureau's accounts at the platform"),
    "export_rights_removed": Both("局端导出权限收回日期", "since when the bureau cannot export there"),
    "confidentiality_agreement": Both("供应商保密协议", "the vendor's confidentiality agreement"),
    "deletion_certificate": Both("删除证明", "certificate of deletion"),
    "records_days": Both("学生记录（学校）", "pupils' records (school)"),
    "sealed_files_days": Both("密封移交文件（学校）", "sealed hand-over files (school)"),
    "journal_days": Both("节点流水（学校）", "the node's journal (school)"),
    "vectors_days": Both("加掩码的报送与掩码和（县级）", "masked reports and mask sums (county)"),
    "log_days": Both("日志及其副本（县级、审计方）", "the log and its copies (county, auditors)"),
    "backups_days": Both("备份（各方）", "backups (everybody)"),
}
WITHIN: Final[Mapping[str, Both]] = {
    "records_days": Both(
        "由节点按县级设定删除；审计归档之前不删",
        "the node deletes as the county sets, never before the audit is filed",
    ),
    "sealed_files_days": Both("同上", "the same"),
    "journal_days": Both("同上", "the same"),
    "vectors_days": Both(
        "发布后按县级设定删除；日志保留其摘要",
        "deleted after the release as the county sets; the log keeps digests",
    ),
    "log_days": Both("只增不删；本软件不提供删除", "append-only; the product has no way to delete"),
    "backups_days": Both("由各方自行删除", "everybody deletes their own"),
}
DIM_WORDS: Final[Mapping[str, str]] = {"left_behind": "left-behind", "found_by": "found by"}
SOURCES: Final = (
    "《未成年人网络保护条例》第三十七条 (Article 37)",
    "国家网信部门 2025 年 12 月 29 日通知，每年 1 月底前报上一年度",
    "《个人信息保护法》第二十八条 (Article 28)",
    "教思政厅函〔2021〕10号",
)
"""What is cited of laws: only sources that docs/zh/README.md lists as read."""

ALGORITHMS: Final = (
    *("Ed25519", "X25519", "ML-KEM-768", "AES", "SHA-256"),
    *("SM2: not used", "SM3: not used", "SM4: not used"),
)
"""What a pack says of algorithms."""
