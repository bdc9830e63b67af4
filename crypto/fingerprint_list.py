"""The 256 things that stand for the 256 values of a byte, in Chinese, pinyin and English; fixed for ever.

In alphabetical order of the English words; the first stands for byte 0. Things that everybody knows, two
characters each. Chosen so that they stay apart on a bad telephone line and in a southern accent: with n/l,
h/f, r/l, z/zh, c/ch, s/sh and -n/-ng taken as one, any two Chinese words still differ in at least two letters
of their pinyin, and any two English words in at least two letters (`tests/crypto/test_fingerprint.py`).
"""

from __future__ import annotations

from typing import Final

_ROWS = """
算盘 suanpan abacus  飞机 feiji airplane  机场 jichang airport  铁锚 tiemao anchor
苹果 pingguo apple  秋天 qiutian autumn  斧头 futou axe  杜鹃 dujuan azalea
香蕉 xiangjiao banana  银行 yinhang bank  谷仓 gucang barn  篮球 lanqiu basketball
电池 dianchi battery  沙滩 shatan beach  蜜蜂 mifeng bee  饼干 binggan biscuit
黑板 heiban blackboard  积木 jimu blocks  书本 shuben book  饭碗 fanwan bowl
砖块 zhuankuai brick  桥梁 qiaoliang bridge  扫帚 saozhou broom  弟弟 didi brother
毛笔 maobi brush  水桶 shuitong bucket  灯泡 dengpao bulb  蝴蝶 hudie butterfly
纽扣 niukou button  白菜 baicai cabbage  日历 rili calendar  骆驼 luotuo camel
相机 xiangji camera  篝火 gouhuo campfire  蜡烛 lazhu candle  糖果 tangguo candy
峡谷 xiagu canyon  船长 chuanzhang captain  汽车 qiche car  山洞 shandong cave
芹菜 qincai celery  水泥 shuini cement  椅子 yizi chair  粉笔 fenbi chalk
冠军 guanjun champion  厨师 chushi chef  樱桃 yingtao cherry  板栗 banli chestnut
辣椒 lajiao chilli  筷子 kuaizi chopsticks  电影 dianying cinema  同学 tongxue classmate
教室 jiaoshi classroom  时钟 shizhong clock  白云 baiyun cloud  煤炭 meitan coal
咖啡 kafei coffee  硬币 yingbi coin  罗盘 luopan compass  电脑 diannao computer
香菜 xiangcai coriander  螃蟹 pangxie crab  鳄鱼 eyu crocodile  乌鸦 wuya crow
黄瓜 huanggua cucumber  茶杯 chabei cup  窗帘 chuanglian curtain  舞蹈 wudao dance
沙漠 shamo desert  露水 lushui dew  恐龙 konglong dinosaur  小狗 xiaogou dog
海豚 haitun dolphin  蜻蜓 qingting dragonfly  老鹰 laoying eagle  地震 dizhen earthquake
蚯蚓 qiuyin earthworm  茄子 qiezi eggplant  大象 daxiang elephant  信封 xinfeng envelope
工厂 gongchang factory  电扇 dianshan fan  农民 nongmin farmer  农田 nongtian farmland
渔夫 yufu fisherman  火焰 huoyan flame  地板 diban floor  足球 zuqiu football
森林 senlin forest  狐狸 huli fox  青蛙 qingwa frog  花园 huayuan garden
大蒜 dasuan garlic  齿轮 chilun gear  生姜 shengjiang ginger  玻璃 boli glass
地球 diqiu globe  山羊 shanyang goat  黄金 huangjin gold  白鹅 baie goose
外婆 waipo grandmother  葡萄 putao grape  草原 caoyuan grassland  吉他 jita guitar
火腿 huotui ham  码头 matou harbour  心脏 xinzang heart  刺猬 ciwei hedgehog
英雄 yingxiong hero  公路 gonglu highway  河马 hema hippo  医院 yiyuan hospital
沙漏 shalou hourglass  房屋 fangwu house  冰块 bingkuai ice  墨水 moshui ink
外套 waitao jacket  红枣 hongzao jujube  袋鼠 daishu kangaroo  钥匙 yaoshi key
国王 guowang king  厨房 chufang kitchen  风筝 fengzheng kite  膝盖 xigai knee
菜刀 caidao knife  湖泊 hupo lake  台灯 taideng lamp  皮革 pige leather
柠檬 ningmeng lemon  灯塔 dengta lighthouse  闪电 shandian lightning  龙虾 longxia lobster
荷花 hehua lotus  磁铁 citie magnet  喜鹊 xique magpie  枫叶 fengye maple
牛奶 niunai milk  镜子 jingzi mirror  猴子 houzi monkey  月亮 yueliang moon
早晨 zaochen morning  高山 gaoshan mountain  嘴巴 zuiba mouth  蘑菇 mogu mushroom
项链 xianglian necklace  邻居 linju neighbour  报纸 baozhi newspaper  夜晚 yewan night
面条 miantiao noodles  洋葱 yangcong onion  果园 guoyuan orchard  锁头 suotou padlock
宝塔 baota pagoda  画家 huajia painter  熊猫 xiongmao panda  公园 gongyuan park
鹦鹉 yingwu parrot  孔雀 kongque peacock  花生 huasheng peanut  珍珠 zhenzhu pearl
牡丹 mudan peony  照片 zhaopian photograph  钢琴 gangqin piano  鸽子 gezi pigeon
枕头 zhentou pillow  菠萝 boluo pineapple  水管 shuiguan pipe  塑料 suliao plastic
梅花 meihua plum  扑克 puke poker  警察 jingcha police  石榴 shiliu pomegranate
杨树 yangshu poplar  陶瓷 taoci porcelain  土豆 tudou potato  校长 xiaozhang principal
南瓜 nangua pumpkin  皇后 huanghou queen  棉被 mianbei quilt  萝卜 luobo radish
铁轨 tiegui railway  彩虹 caihong rainbow  城墙 chengqiang rampart  冰箱 bingxiang refrigerator
水库 shuiku reservoir  河流 heliu river  火箭 huojian rocket  屋顶 wuding roof
公鸡 gongji rooster  绳子 shengzi rope  食盐 shiyan salt  锯子 juzi saw
围巾 weijin scarf  学校 xuexiao school  剪刀 jiandao scissors  种子 zhongzi seed
芝麻 zhima sesame  绵羊 mianyang sheep  轮船 lunchuan ship  衬衫 chenshan shirt
皮鞋 pixie shoe  姐姐 jiejie sister  滑梯 huati slide  蜗牛 woniu snail
大雪 daxue snow  肥皂 feizao soap  袜子 wazi sock  沙发 shafa sofa
泥土 nitu soil  麻雀 maque sparrow  蜘蛛 zhizhu spider  菠菜 bocai spinach
弹簧 tanhuang spring  广场 guangchang square  松鼠 songshu squirrel  楼梯 louti stairs
邮票 youpiao stamp  星星 xingxing star  钢铁 gangtie steel  石头 shitou stone
草莓 caomei strawberry  夏天 xiatian summer  太阳 taiyang sun  燕子 yanzi swallow
天鹅 tiane swan  桌子 zhuozi table  茶叶 chaye tea  电话 dianhua telephone
帐篷 zhangpeng tent  老虎 laohu tiger  豆腐 doufu tofu  番茄 fanqie tomato
牙刷 yashua toothbrush  毛巾 maojin towel  玩具 wanju toy  卡车 kache truck
喇叭 laba trumpet  乌龟 wugui turtle  轮胎 luntai tyre  雨伞 yusan umbrella
叔叔 shushu uncle  花瓶 huaping vase  村庄 cunzhuang village  排球 paiqiu volleyball
钱包 qianbao wallet  核桃 hetao walnut  仓库 cangku warehouse  手表 shoubiao watch
瀑布 pubu waterfall  西瓜 xigua watermelon  小麦 xiaomai wheat  窗户 chuanghu window
电线 dianxian wire  羊毛 yangmao wool  酸奶 suannai yogurt  斑马 banma zebra
"""

THINGS: Final = tuple(tuple(_ROWS.split()[place : place + 3]) for place in range(0, 3 * 256, 3))
"""(Chinese, pinyin without tones, English) of each byte."""
CHINESE: Final = tuple(row[0] for row in THINGS)
ENGLISH: Final = tuple(row[2] for row in THINGS)
