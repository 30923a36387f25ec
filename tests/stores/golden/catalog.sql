-- A catalog as Jeyn 0.1.0 wrote it at revision 0003; the payloads are in small_payload.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE alias_move (
	"key" INTEGER NOT NULL, 
	owner VARCHAR(300) NOT NULL, 
	alias VARCHAR(100) NOT NULL, 
	artefact INTEGER, 
	verb VARCHAR(20) NOT NULL, 
	reason TEXT NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	at INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(artefact) REFERENCES artefact ("key")
);
INSERT INTO "alias_move" VALUES(1,'checkpoint:guesser','blessed',17,'bless','good','ada',1795639439319294,36);
CREATE TABLE artefact (
	"key" INTEGER NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	type VARCHAR(64) NOT NULL, 
	schema VARCHAR(80) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	document TEXT NOT NULL, 
	facts TEXT NOT NULL, 
	quarantined BOOLEAN NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	at INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY ("key"), 
	CONSTRAINT artefact_id UNIQUE (id)
);
INSERT INTO "artefact" VALUES(1,'143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926','dataset_formula','dataset_formula/1','generic','{"body":{"output_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"recipe":{"kind":"generic","parameters":{}},"version":"1.0.0"},"name":"generic","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639435741666,1);
INSERT INTO "artefact" VALUES(2,'c0ba955ed02d9ce2c04d312eb890830d7830086e623b64e5e7cfab28055c35a6','dataset_formula','dataset_formula/1','parameters','{"body":{"output_catalog":{"features":{"price":{"description":"in thousands","dtype":"float64","shape":[-1]},"rooms":{"dtype":"int64","shape":[-1]},"size":{"checks":[{"between":{"high":null,"low":0}}],"dtype":"float64","shape":[-1]}}},"recipe":{"kind":"generic","parameters":{"big":{"$int":"1152921504606846976"},"names":["a"],"rate":0.5}},"version":"0.1.0"},"name":"parameters","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639435745287,2);
INSERT INTO "artefact" VALUES(3,'e402406ae474a03ff8382ccc7396c3508f6359646d5c60111d038842a135c766','dataset_formula','dataset_formula/1','everything','{"body":{"output_catalog":{"features":{"bool-plain":{"dtype":"bool","shape":[-1]},"bytes-plain":{"dtype":"bytes","shape":[-1]},"categorical-plain":{"dtype":"categorical","shape":[-1]},"code":{"checks":[{"matches":{"pattern":"[a-z]+"}}],"description":"A code","dtype":"string","nullable":true,"optional":true,"shape":[-1]},"float16-plain":{"dtype":"float16","shape":[-1]},"float32-plain":{"dtype":"float32","shape":[-1]},"float64-plain":{"dtype":"float64","shape":[-1]},"int16-plain":{"dtype":"int16","shape":[-1]},"int32-plain":{"dtype":"int32","shape":[-1]},"int64-plain":{"dtype":"int64","shape":[-1]},"int8-plain":{"dtype":"int8","shape":[-1]},"kind":{"checks":[{"not_null":{}},{"one_of":{"values":["a","b"]}}],"dtype":"categorical","nullable":true,"shape":[-1]},"late":{"checks":[{"between":{"high":null,"low":{"time":"2024-01-01T00:00:00+00:00"}}}],"dtype":"timestamp","optional":true,"shape":[-1]},"one":{"dtype":"int64","shape":[-1,1]},"pixels":{"dtype":"float32","shape":[-1,8,8]},"ragged":{"dtype":"string","nullable":true,"shape":[-1,-1]},"string-plain":{"dtype":"string","shape":[-1]},"timestamp-plain":{"dtype":"timestamp","shape":[-1]},"uint16-plain":{"dtype":"uint16","shape":[-1]},"uint32-plain":{"dtype":"uint32","shape":[-1]},"uint64-plain":{"dtype":"uint64","shape":[-1]},"uint8-plain":{"dtype":"uint8","shape":[-1]}}},"recipe":{"kind":"generic","parameters":{}},"version":"1.2.3"},"name":"everything","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639435748034,3);
INSERT INTO "artefact" VALUES(4,'49e3f8ccbc64b12a7849ec62164668f744329be0f89e0db3e187ae6670829aed','dataset_formula','dataset_formula/1','points','{"body":{"output_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"recipe":{"after":null,"kind":"streaming","source":"*.csv"},"version":"1.0.0"},"name":"points","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639435748822,4);
INSERT INTO "artefact" VALUES(5,'a0186772b2e36ad5f31e326bb6046d39188db28bc73c80cc7c66a7ef448e3a8e','dataset_formula','dataset_formula/1','houses','{"body":{"output_catalog":{"features":{"price":{"description":"in thousands","dtype":"float64","shape":[-1]},"rooms":{"dtype":"int64","shape":[-1]},"size":{"checks":[{"between":{"high":null,"low":0}}],"dtype":"float64","shape":[-1]}}},"recipe":{"after":null,"kind":"streaming","source":"*.jsonl"},"version":"1.0.0"},"name":"houses","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{"description": "Houses that were sold"}',0,'ada',1795639435749862,5);
INSERT INTO "artefact" VALUES(6,'1a986a280e4c1abb64a3d72a83143fc917d0889d53ff785383331993d832718e','dataset_formula','dataset_formula/1','later','{"body":{"output_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"recipe":{"after":"points@1.0.0/1","kind":"streaming","source":"more/*.csv"},"version":"2.0.0"},"name":"later","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639435750581,6);
INSERT INTO "artefact" VALUES(7,'d29014f89db18d3b5fa6418d4300dfddeff6cccdc0c181a4683713318bad121e','dataset_formula','dataset_formula/1','rows','{"body":{"output_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"recipe":{"after":null,"database":"golden","kind":"sql","late":10,"query":"SELECT * FROM points","watermark":"at"},"version":"1.0.0"},"name":"rows","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639435751547,7);
INSERT INTO "artefact" VALUES(8,'eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632','dataset_batch','dataset_batch/1','points','{"body":{"kind":"files"},"name":"points","parents":[["formula_batch","sha256:49e3f8ccbc64b12a7849ec62164668f744329be0f89e0db3e187ae6670829aed"]],"payloads":[["points.csv","sha256:b59f63e4cf27c66cf0520fb7dc2390e77181eca7ffd58f03c0bf21063b2f1197",20]],"schema":"dataset_batch/1"}','{"rows": 3, "statistics": {"at": {"count": 3, "max": 3, "mean": 2.0, "min": 1, "nulls": 0, "std": 1.0}, "x": {"count": 2, "max": 1.5, "mean": 1.0, "min": 0.5, "nulls": 1, "std": 0.7071067811865476}}}',0,'ada',1795639435813303,8);
INSERT INTO "artefact" VALUES(9,'b82051e6117ea08c795f502c19a79d045fb5af7c26843e266b24eb4873579481','dataset_batch','dataset_batch/1','houses','{"body":{"kind":"files"},"name":"houses","parents":[["formula_batch","sha256:a0186772b2e36ad5f31e326bb6046d39188db28bc73c80cc7c66a7ef448e3a8e"]],"payloads":[["houses.jsonl","sha256:f6cd914e981d5432784378d8096fb8424273df1e393f6c7cfd558f21d309e802",84]],"schema":"dataset_batch/1"}','{"rows": 2, "statistics": {"price": {"count": 2, "max": 20.5, "mean": 15.5, "min": 10.5, "nulls": 0, "std": 7.0710678118654755}, "rooms": {"count": 2, "max": 3, "mean": 2.5, "min": 2, "nulls": 0, "std": 0.7071067811865476}, "size": {"count": 2, "max": 75.0, "mean": 62.5, "min": 50.0, "nulls": 0, "std": 17.67766952966369}}}',0,'ada',1795639435821561,9);
INSERT INTO "artefact" VALUES(10,'7081613a9ebcd65149becddaac718fc804a73f2d7c96889cd71ea1b4df41ddff','dataset_batch','dataset_batch/1','rows','{"body":{"kind":"table","window":{"end":"int:2","start":null}},"name":"rows","parents":[["formula_batch","sha256:d29014f89db18d3b5fa6418d4300dfddeff6cccdc0c181a4683713318bad121e"]],"payloads":[["data.parquet","sha256:67687360f2bbd8cec04e1bc5dc903ab7e1c27c82b9a98a11776436efe03eb0e4",817]],"schema":"dataset_batch/1"}','{"rows": 2, "statistics": {"at": {"count": 2, "max": 2, "mean": 1.5, "min": 1, "nulls": 0, "std": 0.7071067811865476}, "x": {"count": 1, "max": 0.5, "mean": 0.5, "min": 0.5, "nulls": 1, "std": null}}}',0,'ada',1795639435829101,10);
INSERT INTO "artefact" VALUES(11,'8c596e0e64aa89dd7dceffaa12ef4d3564b6dd5e2450a0d73276ddd752dae1c9','dataset_batch','dataset_batch/1','generic','{"body":{"kind":"table"},"name":"generic","parents":[["formula_batch","sha256:143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926"],["source_batch","sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632"]],"payloads":[["data.parquet","sha256:15261bad290bebd4aac50f98ff7c0be7645dc37fa2185825bbbe1a9ca6baff0a",809]],"schema":"dataset_batch/1"}','{"rows": 1, "statistics": {"at": {"count": 1, "max": 1, "mean": 1.0, "min": 1, "nulls": 0, "std": null}, "x": {"count": 1, "max": 0.5, "mean": 0.5, "min": 0.5, "nulls": 0, "std": null}}}',0,'ada',1795639435833416,11);
INSERT INTO "artefact" VALUES(12,'15379b0191cd7c98259a30d94a49a64e5bd2246e328c56aceb4eddfb0fffaf3f','dataset_batch','dataset_batch/1','generic','{"body":{"kind":"generic","kwargs":{"made":"by hand"},"serializer":{"id":"jeyn.numpy","unsafe":false,"version":"1"}},"name":"generic","parents":[["formula_batch","sha256:143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926"]],"payloads":[["object","sha256:8389aa0536b3f51cc9577c0c6bd1992be2b5edd23d56fbc4c04844029b42b205",152]],"schema":"dataset_batch/1"}','{"unsafe": false}',0,'ada',1795639435836990,12);
INSERT INTO "artefact" VALUES(13,'c565849758421106c7fc252458e93e7f639c5dbcdfce00225ed92aa228c305a9','dataset_formula','dataset_formula/1','both','{"body":{"output_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"recipe":{"formulas":["points@^1"],"kind":"composite"},"version":"1.0.0"},"name":"both","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639435839743,13);
INSERT INTO "artefact" VALUES(14,'3ddedff8b058bdb6a51a67c86c44874a683df48dc16c93e4e92f80dfe9f24a54','dataset_batch','dataset_batch/1','both','{"body":{"kind":"union","kwargs":{"parts":["sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632"]}},"name":"both","parents":[["formula_batch","sha256:c565849758421106c7fc252458e93e7f639c5dbcdfce00225ed92aa228c305a9"],["source_batch","sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632"]],"payloads":[],"schema":"dataset_batch/1"}','{"rows": 3, "statistics": {"at": {"count": 3, "max": 3, "mean": 2.0, "min": 1, "nulls": 0, "std": 1.0}, "x": {"count": 2, "max": 1.5, "mean": 1.0, "min": 0.5, "nulls": 1, "std": 0.7071067811865476}}}',0,'ada',1795639435847724,14);
INSERT INTO "artefact" VALUES(15,'4bb3c0eb73f31fab04101deace89bf15298eec4297f79507c915f3a7b4ed957f','use_case','use_case/1','guesser','{"body":{},"name":"guesser","parents":[],"payloads":[],"schema":"use_case/1"}','{}',0,'ada',1795639435850577,15);
INSERT INTO "artefact" VALUES(16,'46c8c8ca9d51cfd861bb2b6ffd6bb2aeca75f18785def767b934600efa754e3a','model_serializer','model_serializer/1','jeyn.numpy','{"body":{"unsafe":false,"version":"1"},"name":"jeyn.numpy","parents":[],"payloads":[],"schema":"model_serializer/1"}','{}',0,'ada',1795639435850577,15);
INSERT INTO "artefact" VALUES(17,'3bb58131f1d526642a9df944a852c3361f98389d6caacd18524efd60af002050','model_checkpoint','model_checkpoint/1','guesser','{"body":{"input_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"output_catalog":{"features":{"guess":{"dtype":"float64","shape":[-1]}}},"serializer":{"id":"jeyn.numpy","unsafe":false,"version":"1"}},"name":"guesser","parents":[["batch_checkpoint","sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632"],["serializer_checkpoint","sha256:46c8c8ca9d51cfd861bb2b6ffd6bb2aeca75f18785def767b934600efa754e3a"],["use_case_checkpoint","sha256:4bb3c0eb73f31fab04101deace89bf15298eec4297f79507c915f3a7b4ed957f"]],"payloads":[["model","sha256:97543ef511946fb0ed9a767d663daec2de16bd78efcb58cc58de37e31c96c0e6",144]],"schema":"model_checkpoint/1"}','{"metrics": {"mae": 1.0}, "unsafe": false}',0,'ada',1795639435850577,15);
INSERT INTO "artefact" VALUES(18,'b4ef2c50e1fa088eecd14e57d807d1a882f33e43146e80f23ead1b9ae845cd7e','model_serializer','model_serializer/1','jeyn.json','{"body":{"unsafe":false,"version":"1"},"name":"jeyn.json","parents":[],"payloads":[],"schema":"model_serializer/1"}','{}',0,'ada',1795639435858288,16);
INSERT INTO "artefact" VALUES(19,'be0cb592b8e091f0bcdc130beed14838487f7094004af5d2321517c2d8dc29d9','model_checkpoint','model_checkpoint/1','guesser','{"body":{"input_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"output_catalog":{"features":{"guess":{"dtype":"float64","shape":[-1]}}},"serializer":{"id":"jeyn.json","unsafe":false,"version":"1"}},"name":"guesser","parents":[["batch_checkpoint","sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632"],["checkpoint_parent","sha256:3bb58131f1d526642a9df944a852c3361f98389d6caacd18524efd60af002050"],["serializer_checkpoint","sha256:b4ef2c50e1fa088eecd14e57d807d1a882f33e43146e80f23ead1b9ae845cd7e"],["use_case_checkpoint","sha256:4bb3c0eb73f31fab04101deace89bf15298eec4297f79507c915f3a7b4ed957f"]],"payloads":[["model","sha256:30d98be1de050c536629427a0086d22cd28a3f2e2566508fed9cdb20e6ac5278",17]],"schema":"model_checkpoint/1"}','{"metrics": {}, "unsafe": false}',0,'ada',1795639435858288,16);
INSERT INTO "artefact" VALUES(20,'c9d7852e445dda772d0696e4fff49065f461637c8b8d5d81d3fa82134e04882e','model_serializer','model_serializer/1','jeyn.sklearn','{"body":{"unsafe":false,"version":"1"},"name":"jeyn.sklearn","parents":[],"payloads":[],"schema":"model_serializer/1"}','{}',0,'ada',1795639439143300,17);
INSERT INTO "artefact" VALUES(21,'a2194311208f34dac4c61c4449051ca7e4d4475d7f7ece1cd5af7c56f7bf5c29','model_checkpoint','model_checkpoint/1','guesser','{"body":{"input_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"x":{"dtype":"float64","nullable":true,"shape":[-1]}}},"output_catalog":{"features":{"guess":{"dtype":"float64","shape":[-1]}}},"serializer":{"id":"jeyn.sklearn","unsafe":false,"version":"1"}},"name":"guesser","parents":[["batch_checkpoint","sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632"],["serializer_checkpoint","sha256:c9d7852e445dda772d0696e4fff49065f461637c8b8d5d81d3fa82134e04882e"],["use_case_checkpoint","sha256:4bb3c0eb73f31fab04101deace89bf15298eec4297f79507c915f3a7b4ed957f"]],"payloads":[["model","sha256:07d7588665a591231b0cb173c6d96f75add42f087fda32bbc1533fb5f6ddbc82",3092]],"schema":"model_checkpoint/1"}','{"metrics": {}, "unsafe": false}',0,'ada',1795639439143300,17);
INSERT INTO "artefact" VALUES(22,'64761017b4f71502fb88cee740394646ac83f7da0393edd9772b26aba2d1a810','use_case','use_case/1','prices','{"body":{},"name":"prices","parents":[],"payloads":[],"schema":"use_case/1"}','{}',0,'ada',1795639439147318,18);
INSERT INTO "artefact" VALUES(23,'f25dd7f4ba184d6e99781b88d36f5a1d1175c8aa8af35da719b148156b2bfc22','dataset_formula','dataset_formula/1','guesses','{"body":{"output_catalog":{"features":{"at":{"checks":[{"unique":{}}],"dtype":"int64","shape":[-1]},"guess":{"dtype":"float64","shape":[-1]}}},"recipe":{"apply":"predict","checkpoint":"guesser@^1","keep":["at"],"kind":"model","source":"points@^1"},"version":"1.0.0"},"name":"guesses","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639439155431,19);
INSERT INTO "artefact" VALUES(24,'0ee5d6b55d7109781b73e012c597cca2b9711f1d9eec496bb069cdea44637eb3','dataset_formula','dataset_formula/1','guessed','{"body":{"output_catalog":{"features":{"guess":{"dtype":"float64","shape":[-1]}}},"recipe":{"apply":"transform","checkpoint":"guesser@^1","keep":[],"kind":"model","source":"points@1.0.0"},"version":"1.0.0"},"name":"guessed","parents":[],"payloads":[],"schema":"dataset_formula/1"}','{}',0,'ada',1795639439164053,20);
INSERT INTO "artefact" VALUES(25,'6767ba7edec10ae721af42266ef5f0b4f60b7fcd31cdcc591486fd608b08671a','value','value/1','none','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"json/1","output":"none"},"name":"none","parents":[],"payloads":[["value","sha256:74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",4]],"schema":"value/1"}','{}',0,'ada',1795639439178245,21);
INSERT INTO "artefact" VALUES(26,'c2219552312a648c7207b3e64b88da5812f975cc5b29b30d0034ae1364001f63','value','value/1','bool','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"json/1","output":"bool"},"name":"bool","parents":[],"payloads":[["value","sha256:b5bea41b6c623f7c09f1bf24dcae58ebab3c0cdd90ad966bc43a45b44867e12b",4]],"schema":"value/1"}','{}',0,'ada',1795639439186689,22);
INSERT INTO "artefact" VALUES(27,'eada82001d6acdcab6828f81dccebed1ab63f8473954c231802f11922e9db7ba','value','value/1','int','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"json/1","output":"int"},"name":"int","parents":[],"payloads":[["value","sha256:c15c2807e41fa5c1c80cc07b02fdfd3074184a4b29dd3d4fee71d44efbbffc10",38]],"schema":"value/1"}','{}',0,'ada',1795639439194218,23);
INSERT INTO "artefact" VALUES(28,'1f751371e6bea5e8371beaa28f2a71ae76c2af9b95fa0762bca74c8ac5f013c9','value','value/1','float','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"json/1","output":"float"},"name":"float","parents":[],"payloads":[["value","sha256:add717fc6de42dbb588d80385843968a7e7d5bda6d276fbe5304e2353a42df9b",23]],"schema":"value/1"}','{}',0,'ada',1795639439206222,24);
INSERT INTO "artefact" VALUES(29,'a1ac4bac2d6cf6855f39a960dbd97908c10ee289dbfb4c7233357e70f892cef1','value','value/1','text','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"text/1","output":"text"},"name":"text","parents":[],"payloads":[["value","sha256:33e6d73fee82904c8d7afb78de1154d1e8dc2a0edb08120e63df5b9385c2d9cc",2]],"schema":"value/1"}','{}',0,'ada',1795639439214017,25);
INSERT INTO "artefact" VALUES(30,'65d545619ea3906c9cc09423b4d7aa9d830c719caf5677e0f8164c093472e799','value','value/1','bytes','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"bytes/1","output":"bytes"},"name":"bytes","parents":[],"payloads":[["value","sha256:b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2",2]],"schema":"value/1"}','{}',0,'ada',1795639439223080,26);
INSERT INTO "artefact" VALUES(31,'9f1eeb8619929ee79073380dce9f1082b2fbdf8e4db7cf61e4f76d73cb0875b6','value','value/1','list','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"json/1","output":"list"},"name":"list","parents":[],"payloads":[["value","sha256:123c4249ec5a086a431d255865c3f8e4a83c9a0f14ea91c61b8d8848f1ee5606",18]],"schema":"value/1"}','{}',0,'ada',1795639439234225,27);
INSERT INTO "artefact" VALUES(32,'c5ced3990493234811258d4336f77309e2b572627b780488131330a65116108a','value','value/1','tuple','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"json/1","output":"tuple"},"name":"tuple","parents":[],"payloads":[["value","sha256:1fa5494942fc6dcbf92e24d584eb9432b773b144b3028f04a6ba297eefd6a3d8",27]],"schema":"value/1"}','{}',0,'ada',1795639439240689,28);
INSERT INTO "artefact" VALUES(33,'a02dde244de6556b5a61266da9c2bef1df330ac688294a3c98104e58f1b1e7c4','value','value/1','numpy','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"npy/1","output":"numpy"},"name":"numpy","parents":[],"payloads":[["value","sha256:13c3cd0866e72d1598ffe111222ab361cfdb9f90686c6b33dec4297fd5449290",152]],"schema":"value/1"}','{}',0,'ada',1795639439248757,29);
INSERT INTO "artefact" VALUES(34,'cecf41a0acdd84155621c40e437b59cb4ec3ba8be02dbb4cbe5305c86781659d','value','value/1','arrow','{"body":{"cache_key":"0000000000000000000000000000000000000000000000000000000000000000","format":"table+parquet/1","output":"arrow"},"name":"arrow","parents":[],"payloads":[["value","sha256:aed610a3fc0bd3e5aaa7cde39e87ccedd4c717039644acfa07aa1830b1520f55",731]],"schema":"value/1"}','{}',0,'ada',1795639439266253,30);
INSERT INTO "artefact" VALUES(35,'784ad7c65fe5236c1c48d1b9cb3c4c7e68b5dc8ba19fcb36db2b9399ba39d0f6','code','code/1','code','{"body":{"commit":"abc","digest":"sha256:bc4a71180870f7945155fbb02f4b0a2e3faa2a62d6d31b7039013055ed19869a","dirty":true},"name":"code","parents":[],"payloads":[["package.tar.gz","sha256:ad25bc0f144b930b9468833a0c80eaf41212e76ec10e170d7a7e16b6acff4078",20]],"schema":"code/1"}','{}',0,'ada',1795639439273980,31);
INSERT INTO "artefact" VALUES(36,'698ad4543d2ea7ec256f69b99309afd5d95874361e8d44011cfb1ad22241cbe6','evaluation','evaluation/1','guesser','{"body":{"metrics":{"mae":0.25,"share":1}},"name":"guesser","parents":[["evaluation_of","sha256:3bb58131f1d526642a9df944a852c3361f98389d6caacd18524efd60af002050"],["source_batch","sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632"]],"payloads":[],"schema":"evaluation/1"}','{}',0,'ada',1795639439279461,32);
INSERT INTO "artefact" VALUES(37,'ec8395265225c87518b7588f11fdce0456de8fa1b471f814f3406747464f9937','evaluation','evaluation/1','guesser','{"body":{"metrics":{"mae":1152921504606847000}},"name":"guesser","parents":[["evaluation_of","sha256:3bb58131f1d526642a9df944a852c3361f98389d6caacd18524efd60af002050"]],"payloads":[],"schema":"evaluation/1"}','{}',0,'ada',1795639439282967,33);
INSERT INTO "artefact" VALUES(38,'890c188e0d5f807a22176c8dda0bd225d5bcd385a6ef6aa7f571f70917dbee25','dataset_batch','dataset_batch/1','generic','{"body":{"kind":"table"},"name":"generic","parents":[["formula_batch","sha256:143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926"],["source_batch","sha256:b82051e6117ea08c795f502c19a79d045fb5af7c26843e266b24eb4873579481"]],"payloads":[["data.parquet","sha256:8a17a10c5da7e43e1f13e119995385da00a1ecd1ceeab024569be2260ea01bd6",713]],"schema":"dataset_batch/1"}','{"rows": 1, "statistics": {"at": {"count": 1, "max": 2, "mean": 2.0, "min": 2, "nulls": 0, "std": null}, "x": {"count": 0, "max": null, "mean": null, "min": null, "nulls": 1, "std": null}}}',0,'ada',1795639439292109,34);
INSERT INTO "artefact" VALUES(39,'63b8e3134451ef89b079c27af1fbb00a70a58d0dc83763988f3b5a7d77ecb0db','model_checkpoint','model_checkpoint/1','prices','{"body":{"input_catalog":{"features":{"rooms":{"dtype":"int64","shape":[-1]},"size":{"checks":[{"between":{"high":null,"low":0}}],"dtype":"float64","shape":[-1]}}},"output_catalog":{"features":{"price":{"description":"in thousands","dtype":"float64","shape":[-1]}}},"serializer":{"id":"jeyn.numpy","unsafe":false,"version":"1"}},"name":"prices","parents":[["batch_checkpoint","sha256:b82051e6117ea08c795f502c19a79d045fb5af7c26843e266b24eb4873579481"],["serializer_checkpoint","sha256:46c8c8ca9d51cfd861bb2b6ffd6bb2aeca75f18785def767b934600efa754e3a"],["use_case_checkpoint","sha256:64761017b4f71502fb88cee740394646ac83f7da0393edd9772b26aba2d1a810"]],"payloads":[["model","sha256:63c5b34d6974925a9b87f85b118d59db44b8ee8f6e9e488234c401c1d8cee09a",136]],"schema":"model_checkpoint/1"}','{"metrics": {}, "unsafe": false}',0,'ada',1795639439310729,35);
CREATE TABLE artefact_payload (
	artefact INTEGER NOT NULL, 
	name VARCHAR(1000) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	size INTEGER NOT NULL, 
	external BOOLEAN NOT NULL, 
	PRIMARY KEY (artefact, name), 
	FOREIGN KEY(artefact) REFERENCES artefact ("key")
)
 WITHOUT ROWID

;
INSERT INTO "artefact_payload" VALUES(8,'points.csv','b59f63e4cf27c66cf0520fb7dc2390e77181eca7ffd58f03c0bf21063b2f1197',20,0);
INSERT INTO "artefact_payload" VALUES(9,'houses.jsonl','f6cd914e981d5432784378d8096fb8424273df1e393f6c7cfd558f21d309e802',84,0);
INSERT INTO "artefact_payload" VALUES(10,'data.parquet','67687360f2bbd8cec04e1bc5dc903ab7e1c27c82b9a98a11776436efe03eb0e4',817,0);
INSERT INTO "artefact_payload" VALUES(11,'data.parquet','15261bad290bebd4aac50f98ff7c0be7645dc37fa2185825bbbe1a9ca6baff0a',809,0);
INSERT INTO "artefact_payload" VALUES(12,'object','8389aa0536b3f51cc9577c0c6bd1992be2b5edd23d56fbc4c04844029b42b205',152,0);
INSERT INTO "artefact_payload" VALUES(17,'model','97543ef511946fb0ed9a767d663daec2de16bd78efcb58cc58de37e31c96c0e6',144,0);
INSERT INTO "artefact_payload" VALUES(19,'model','30d98be1de050c536629427a0086d22cd28a3f2e2566508fed9cdb20e6ac5278',17,0);
INSERT INTO "artefact_payload" VALUES(21,'model','07d7588665a591231b0cb173c6d96f75add42f087fda32bbc1533fb5f6ddbc82',3092,0);
INSERT INTO "artefact_payload" VALUES(25,'value','74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b',4,0);
INSERT INTO "artefact_payload" VALUES(26,'value','b5bea41b6c623f7c09f1bf24dcae58ebab3c0cdd90ad966bc43a45b44867e12b',4,0);
INSERT INTO "artefact_payload" VALUES(27,'value','c15c2807e41fa5c1c80cc07b02fdfd3074184a4b29dd3d4fee71d44efbbffc10',38,0);
INSERT INTO "artefact_payload" VALUES(28,'value','add717fc6de42dbb588d80385843968a7e7d5bda6d276fbe5304e2353a42df9b',23,0);
INSERT INTO "artefact_payload" VALUES(29,'value','33e6d73fee82904c8d7afb78de1154d1e8dc2a0edb08120e63df5b9385c2d9cc',2,0);
INSERT INTO "artefact_payload" VALUES(30,'value','b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2',2,0);
INSERT INTO "artefact_payload" VALUES(31,'value','123c4249ec5a086a431d255865c3f8e4a83c9a0f14ea91c61b8d8848f1ee5606',18,0);
INSERT INTO "artefact_payload" VALUES(32,'value','1fa5494942fc6dcbf92e24d584eb9432b773b144b3028f04a6ba297eefd6a3d8',27,0);
INSERT INTO "artefact_payload" VALUES(33,'value','13c3cd0866e72d1598ffe111222ab361cfdb9f90686c6b33dec4297fd5449290',152,0);
INSERT INTO "artefact_payload" VALUES(34,'value','aed610a3fc0bd3e5aaa7cde39e87ccedd4c717039644acfa07aa1830b1520f55',731,0);
INSERT INTO "artefact_payload" VALUES(35,'package.tar.gz','ad25bc0f144b930b9468833a0c80eaf41212e76ec10e170d7a7e16b6acff4078',20,0);
INSERT INTO "artefact_payload" VALUES(38,'data.parquet','8a17a10c5da7e43e1f13e119995385da00a1ecd1ceeab024569be2260ea01bd6',713,0);
INSERT INTO "artefact_payload" VALUES(39,'model','63c5b34d6974925a9b87f85b118d59db44b8ee8f6e9e488234c401c1d8cee09a',136,0);
CREATE TABLE attempt (
	"key" INTEGER NOT NULL, 
	operation INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	host VARCHAR(200) NOT NULL, 
	at INTEGER NOT NULL, pid INTEGER, state VARCHAR(20), ended INTEGER, error TEXT, 
	PRIMARY KEY ("key"), 
	CONSTRAINT attempt_number UNIQUE (operation, number), 
	FOREIGN KEY(operation) REFERENCES operation ("key")
);
CREATE TABLE batch_member (
	formula INTEGER NOT NULL, 
	member VARCHAR(300) NOT NULL, 
	batch INTEGER NOT NULL, 
	PRIMARY KEY (formula, member), 
	FOREIGN KEY(formula) REFERENCES artefact ("key"), 
	FOREIGN KEY(batch) REFERENCES artefact ("key")
)
 WITHOUT ROWID

;
INSERT INTO "batch_member" VALUES(4,'sha256:b59f63e4cf27c66cf0520fb7dc2390e77181eca7ffd58f03c0bf21063b2f1197',8);
INSERT INTO "batch_member" VALUES(5,'sha256:f6cd914e981d5432784378d8096fb8424273df1e393f6c7cfd558f21d309e802',9);
INSERT INTO "batch_member" VALUES(7,'start:None',10);
CREATE TABLE cache_entry (
	operation INTEGER NOT NULL, 
	cache_key VARCHAR(64) NOT NULL, 
	observations TEXT NOT NULL, 
	components TEXT NOT NULL, 
	at INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY (operation), 
	FOREIGN KEY(operation) REFERENCES operation ("key")
);
CREATE TABLE catalog_clock (
	id INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "catalog_clock" VALUES(1,37,1795639439326347);
CREATE TABLE claim (
	owner VARCHAR(300) NOT NULL, 
	number VARCHAR(200) NOT NULL, 
	major INTEGER NOT NULL, 
	minor INTEGER NOT NULL, 
	patch INTEGER NOT NULL, 
	prerelease VARCHAR(200) NOT NULL, 
	artefact INTEGER NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	at INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY (owner, number), 
	FOREIGN KEY(artefact) REFERENCES artefact ("key")
)
 WITHOUT ROWID

;
INSERT INTO "claim" VALUES('batch:143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926','1',1,0,0,'',11,'ada',1795639435833416,11);
INSERT INTO "claim" VALUES('batch:143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926','2',2,0,0,'',12,'ada',1795639435836990,12);
INSERT INTO "claim" VALUES('batch:143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926','3',3,0,0,'',38,'ada',1795639439292109,34);
INSERT INTO "claim" VALUES('batch:49e3f8ccbc64b12a7849ec62164668f744329be0f89e0db3e187ae6670829aed','1',1,0,0,'',8,'ada',1795639435813303,8);
INSERT INTO "claim" VALUES('batch:a0186772b2e36ad5f31e326bb6046d39188db28bc73c80cc7c66a7ef448e3a8e','1',1,0,0,'',9,'ada',1795639435821561,9);
INSERT INTO "claim" VALUES('batch:c565849758421106c7fc252458e93e7f639c5dbcdfce00225ed92aa228c305a9','1',1,0,0,'',14,'ada',1795639435847724,14);
INSERT INTO "claim" VALUES('batch:d29014f89db18d3b5fa6418d4300dfddeff6cccdc0c181a4683713318bad121e','1',1,0,0,'',10,'ada',1795639435829101,10);
INSERT INTO "claim" VALUES('checkpoint:guesser','1.0.0',1,0,0,'',17,'ada',1795639435850577,15);
INSERT INTO "claim" VALUES('checkpoint:guesser','1.1.0',1,1,0,'',19,'ada',1795639435858288,16);
INSERT INTO "claim" VALUES('checkpoint:guesser','1.1.1',1,1,1,'',21,'ada',1795639439143300,17);
INSERT INTO "claim" VALUES('checkpoint:prices','1.0.0',1,0,0,'',39,'ada',1795639439310729,35);
INSERT INTO "claim" VALUES('formula:both','1.0.0',1,0,0,'',13,'ada',1795639435839743,13);
INSERT INTO "claim" VALUES('formula:everything','1.2.3',1,2,3,'',3,'ada',1795639435748034,3);
INSERT INTO "claim" VALUES('formula:generic','1.0.0',1,0,0,'',1,'ada',1795639435741666,1);
INSERT INTO "claim" VALUES('formula:guessed','1.0.0',1,0,0,'',24,'ada',1795639439164053,20);
INSERT INTO "claim" VALUES('formula:guesses','1.0.0',1,0,0,'',23,'ada',1795639439155431,19);
INSERT INTO "claim" VALUES('formula:houses','1.0.0',1,0,0,'',5,'ada',1795639435749862,5);
INSERT INTO "claim" VALUES('formula:later','2.0.0',2,0,0,'',6,'ada',1795639435750581,6);
INSERT INTO "claim" VALUES('formula:parameters','0.1.0',0,1,0,'',2,'ada',1795639435745287,2);
INSERT INTO "claim" VALUES('formula:points','1.0.0',1,0,0,'',4,'ada',1795639435748822,4);
INSERT INTO "claim" VALUES('formula:rows','1.0.0',1,0,0,'',7,'ada',1795639435751547,7);
CREATE TABLE condemned (
	digest VARCHAR(64) NOT NULL, 
	sweeper VARCHAR(80) NOT NULL, 
	expires INTEGER NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE edge (
	child INTEGER NOT NULL, 
	parent INTEGER NOT NULL, 
	type INTEGER NOT NULL, 
	PRIMARY KEY (child, parent, type), 
	FOREIGN KEY(child) REFERENCES artefact ("key"), 
	FOREIGN KEY(parent) REFERENCES artefact ("key")
)
 WITHOUT ROWID

;
INSERT INTO "edge" VALUES(11,1,1);
INSERT INTO "edge" VALUES(12,1,1);
INSERT INTO "edge" VALUES(38,1,1);
INSERT INTO "edge" VALUES(8,4,1);
INSERT INTO "edge" VALUES(13,4,5);
INSERT INTO "edge" VALUES(23,4,5);
INSERT INTO "edge" VALUES(24,4,5);
INSERT INTO "edge" VALUES(9,5,1);
INSERT INTO "edge" VALUES(10,7,1);
INSERT INTO "edge" VALUES(11,8,8);
INSERT INTO "edge" VALUES(14,8,8);
INSERT INTO "edge" VALUES(17,8,3);
INSERT INTO "edge" VALUES(19,8,3);
INSERT INTO "edge" VALUES(21,8,3);
INSERT INTO "edge" VALUES(36,8,8);
INSERT INTO "edge" VALUES(38,9,8);
INSERT INTO "edge" VALUES(39,9,3);
INSERT INTO "edge" VALUES(14,13,1);
INSERT INTO "edge" VALUES(17,15,2);
INSERT INTO "edge" VALUES(19,15,2);
INSERT INTO "edge" VALUES(21,15,2);
INSERT INTO "edge" VALUES(17,16,7);
INSERT INTO "edge" VALUES(39,16,7);
INSERT INTO "edge" VALUES(19,17,4);
INSERT INTO "edge" VALUES(36,17,10);
INSERT INTO "edge" VALUES(37,17,10);
INSERT INTO "edge" VALUES(19,18,7);
INSERT INTO "edge" VALUES(21,20,7);
INSERT INTO "edge" VALUES(23,21,6);
INSERT INTO "edge" VALUES(24,21,6);
INSERT INTO "edge" VALUES(39,22,2);
CREATE TABLE event (
	seq INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	kind VARCHAR(80) NOT NULL, 
	subject VARCHAR(300) NOT NULL, 
	data TEXT NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (seq, position)
)
 WITHOUT ROWID

;
INSERT INTO "event" VALUES(1,0,'jeyn.formula.saved','sha256:143328618991a3a1cd108b1763867ba5b153248c0c3eb19b7d5a386b35c19926','{"name": "generic", "number": "1.0.0", "type": "dataset_formula"}','ada',1795639435741666);
INSERT INTO "event" VALUES(2,0,'jeyn.formula.saved','sha256:c0ba955ed02d9ce2c04d312eb890830d7830086e623b64e5e7cfab28055c35a6','{"name": "parameters", "number": "0.1.0", "type": "dataset_formula"}','ada',1795639435745287);
INSERT INTO "event" VALUES(3,0,'jeyn.formula.saved','sha256:e402406ae474a03ff8382ccc7396c3508f6359646d5c60111d038842a135c766','{"name": "everything", "number": "1.2.3", "type": "dataset_formula"}','ada',1795639435748034);
INSERT INTO "event" VALUES(4,0,'jeyn.formula.saved','sha256:49e3f8ccbc64b12a7849ec62164668f744329be0f89e0db3e187ae6670829aed','{"name": "points", "number": "1.0.0", "type": "dataset_formula"}','ada',1795639435748822);
INSERT INTO "event" VALUES(5,0,'jeyn.formula.saved','sha256:a0186772b2e36ad5f31e326bb6046d39188db28bc73c80cc7c66a7ef448e3a8e','{"name": "houses", "number": "1.0.0", "type": "dataset_formula"}','ada',1795639435749862);
INSERT INTO "event" VALUES(6,0,'jeyn.formula.saved','sha256:1a986a280e4c1abb64a3d72a83143fc917d0889d53ff785383331993d832718e','{"name": "later", "number": "2.0.0", "type": "dataset_formula"}','ada',1795639435750581);
INSERT INTO "event" VALUES(7,0,'jeyn.formula.saved','sha256:d29014f89db18d3b5fa6418d4300dfddeff6cccdc0c181a4683713318bad121e','{"name": "rows", "number": "1.0.0", "type": "dataset_formula"}','ada',1795639435751547);
INSERT INTO "event" VALUES(8,0,'jeyn.batch.saved','sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632','{"name": "points", "number": "1", "type": "dataset_batch"}','ada',1795639435813303);
INSERT INTO "event" VALUES(9,0,'jeyn.batch.saved','sha256:b82051e6117ea08c795f502c19a79d045fb5af7c26843e266b24eb4873579481','{"name": "houses", "number": "1", "type": "dataset_batch"}','ada',1795639435821561);
INSERT INTO "event" VALUES(10,0,'jeyn.batch.saved','sha256:7081613a9ebcd65149becddaac718fc804a73f2d7c96889cd71ea1b4df41ddff','{"name": "rows", "number": "1", "type": "dataset_batch"}','ada',1795639435829101);
INSERT INTO "event" VALUES(11,0,'jeyn.batch.saved','sha256:8c596e0e64aa89dd7dceffaa12ef4d3564b6dd5e2450a0d73276ddd752dae1c9','{"name": "generic", "number": "1", "type": "dataset_batch"}','ada',1795639435833416);
INSERT INTO "event" VALUES(12,0,'jeyn.batch.saved','sha256:15379b0191cd7c98259a30d94a49a64e5bd2246e328c56aceb4eddfb0fffaf3f','{"name": "generic", "number": "2", "type": "dataset_batch"}','ada',1795639435836990);
INSERT INTO "event" VALUES(13,0,'jeyn.formula.saved','sha256:c565849758421106c7fc252458e93e7f639c5dbcdfce00225ed92aa228c305a9','{"name": "both", "number": "1.0.0", "type": "dataset_formula"}','ada',1795639435839743);
INSERT INTO "event" VALUES(14,0,'jeyn.batch.saved','sha256:3ddedff8b058bdb6a51a67c86c44874a683df48dc16c93e4e92f80dfe9f24a54','{"name": "both", "number": "1", "type": "dataset_batch"}','ada',1795639435847724);
INSERT INTO "event" VALUES(15,0,'jeyn.usecase.saved','sha256:4bb3c0eb73f31fab04101deace89bf15298eec4297f79507c915f3a7b4ed957f','{"name": "guesser", "number": null, "type": "use_case"}','ada',1795639435850577);
INSERT INTO "event" VALUES(15,1,'jeyn.artefact.marked','sha256:4bb3c0eb73f31fab04101deace89bf15298eec4297f79507c915f3a7b4ed957f','{"kind": "contract", "present": true, "value": "{\"description\": \"Guesses\", \"input_catalog\": {\"features\": {\"at\": {\"checks\": [{\"unique\": {}}], \"dtype\": \"int64\", \"shape\": [-1]}, \"x\": {\"dtype\": \"float64\", \"nullable\": true, \"shape\": [-1]}}}, \"output_catalog\": {\"features\": {\"guess\": {\"dtype\": \"float64\", \"shape\": [-1]}}}}"}','ada',1795639435850577);
INSERT INTO "event" VALUES(15,2,'jeyn.artefact.saved','sha256:46c8c8ca9d51cfd861bb2b6ffd6bb2aeca75f18785def767b934600efa754e3a','{"name": "jeyn.numpy", "number": null, "type": "model_serializer"}','ada',1795639435850577);
INSERT INTO "event" VALUES(15,3,'jeyn.checkpoint.saved','sha256:3bb58131f1d526642a9df944a852c3361f98389d6caacd18524efd60af002050','{"name": "guesser", "number": "1.0.0", "type": "model_checkpoint"}','ada',1795639435850577);
INSERT INTO "event" VALUES(16,0,'jeyn.artefact.saved','sha256:b4ef2c50e1fa088eecd14e57d807d1a882f33e43146e80f23ead1b9ae845cd7e','{"name": "jeyn.json", "number": null, "type": "model_serializer"}','ada',1795639435858288);
INSERT INTO "event" VALUES(16,1,'jeyn.checkpoint.saved','sha256:be0cb592b8e091f0bcdc130beed14838487f7094004af5d2321517c2d8dc29d9','{"name": "guesser", "number": "1.1.0", "type": "model_checkpoint"}','ada',1795639435858288);
INSERT INTO "event" VALUES(17,0,'jeyn.artefact.saved','sha256:c9d7852e445dda772d0696e4fff49065f461637c8b8d5d81d3fa82134e04882e','{"name": "jeyn.sklearn", "number": null, "type": "model_serializer"}','ada',1795639439143300);
INSERT INTO "event" VALUES(17,1,'jeyn.checkpoint.saved','sha256:a2194311208f34dac4c61c4449051ca7e4d4475d7f7ece1cd5af7c56f7bf5c29','{"name": "guesser", "number": "1.1.1", "type": "model_checkpoint"}','ada',1795639439143300);
INSERT INTO "event" VALUES(18,0,'jeyn.usecase.saved','sha256:64761017b4f71502fb88cee740394646ac83f7da0393edd9772b26aba2d1a810','{"name": "prices", "number": null, "type": "use_case"}','ada',1795639439147318);
INSERT INTO "event" VALUES(18,1,'jeyn.artefact.marked','sha256:64761017b4f71502fb88cee740394646ac83f7da0393edd9772b26aba2d1a810','{"kind": "contract", "present": true, "value": "{\"description\": \"\", \"input_catalog\": {\"features\": {\"rooms\": {\"dtype\": \"int64\", \"shape\": [-1]}, \"size\": {\"checks\": [{\"between\": {\"high\": null, \"low\": 0}}], \"dtype\": \"float64\", \"shape\": [-1]}}}, \"output_catalog\": {\"features\": {\"price\": {\"description\": \"in thousands\", \"dtype\": \"float64\", \"shape\": [-1]}}}}"}','ada',1795639439147318);
INSERT INTO "event" VALUES(19,0,'jeyn.formula.saved','sha256:f25dd7f4ba184d6e99781b88d36f5a1d1175c8aa8af35da719b148156b2bfc22','{"name": "guesses", "number": "1.0.0", "type": "dataset_formula"}','ada',1795639439155431);
INSERT INTO "event" VALUES(20,0,'jeyn.formula.saved','sha256:0ee5d6b55d7109781b73e012c597cca2b9711f1d9eec496bb069cdea44637eb3','{"name": "guessed", "number": "1.0.0", "type": "dataset_formula"}','ada',1795639439164053);
INSERT INTO "event" VALUES(21,0,'jeyn.artefact.saved','sha256:6767ba7edec10ae721af42266ef5f0b4f60b7fcd31cdcc591486fd608b08671a','{"name": "none", "number": null, "type": "value"}','ada',1795639439178245);
INSERT INTO "event" VALUES(22,0,'jeyn.artefact.saved','sha256:c2219552312a648c7207b3e64b88da5812f975cc5b29b30d0034ae1364001f63','{"name": "bool", "number": null, "type": "value"}','ada',1795639439186689);
INSERT INTO "event" VALUES(23,0,'jeyn.artefact.saved','sha256:eada82001d6acdcab6828f81dccebed1ab63f8473954c231802f11922e9db7ba','{"name": "int", "number": null, "type": "value"}','ada',1795639439194218);
INSERT INTO "event" VALUES(24,0,'jeyn.artefact.saved','sha256:1f751371e6bea5e8371beaa28f2a71ae76c2af9b95fa0762bca74c8ac5f013c9','{"name": "float", "number": null, "type": "value"}','ada',1795639439206222);
INSERT INTO "event" VALUES(25,0,'jeyn.artefact.saved','sha256:a1ac4bac2d6cf6855f39a960dbd97908c10ee289dbfb4c7233357e70f892cef1','{"name": "text", "number": null, "type": "value"}','ada',1795639439214017);
INSERT INTO "event" VALUES(26,0,'jeyn.artefact.saved','sha256:65d545619ea3906c9cc09423b4d7aa9d830c719caf5677e0f8164c093472e799','{"name": "bytes", "number": null, "type": "value"}','ada',1795639439223080);
INSERT INTO "event" VALUES(27,0,'jeyn.artefact.saved','sha256:9f1eeb8619929ee79073380dce9f1082b2fbdf8e4db7cf61e4f76d73cb0875b6','{"name": "list", "number": null, "type": "value"}','ada',1795639439234225);
INSERT INTO "event" VALUES(28,0,'jeyn.artefact.saved','sha256:c5ced3990493234811258d4336f77309e2b572627b780488131330a65116108a','{"name": "tuple", "number": null, "type": "value"}','ada',1795639439240689);
INSERT INTO "event" VALUES(29,0,'jeyn.artefact.saved','sha256:a02dde244de6556b5a61266da9c2bef1df330ac688294a3c98104e58f1b1e7c4','{"name": "numpy", "number": null, "type": "value"}','ada',1795639439248757);
INSERT INTO "event" VALUES(30,0,'jeyn.artefact.saved','sha256:cecf41a0acdd84155621c40e437b59cb4ec3ba8be02dbb4cbe5305c86781659d','{"name": "arrow", "number": null, "type": "value"}','ada',1795639439266253);
INSERT INTO "event" VALUES(31,0,'jeyn.code.saved','sha256:784ad7c65fe5236c1c48d1b9cb3c4c7e68b5dc8ba19fcb36db2b9399ba39d0f6','{"name": "code", "number": null, "type": "code"}','ada',1795639439273980);
INSERT INTO "event" VALUES(32,0,'jeyn.evaluation.saved','sha256:698ad4543d2ea7ec256f69b99309afd5d95874361e8d44011cfb1ad22241cbe6','{"name": "guesser", "number": null, "type": "evaluation"}','ada',1795639439279461);
INSERT INTO "event" VALUES(33,0,'jeyn.evaluation.saved','sha256:ec8395265225c87518b7588f11fdce0456de8fa1b471f814f3406747464f9937','{"name": "guesser", "number": null, "type": "evaluation"}','ada',1795639439282967);
INSERT INTO "event" VALUES(34,0,'jeyn.batch.saved','sha256:890c188e0d5f807a22176c8dda0bd225d5bcd385a6ef6aa7f571f70917dbee25','{"name": "generic", "number": "3", "type": "dataset_batch"}','ada',1795639439292109);
INSERT INTO "event" VALUES(35,0,'jeyn.checkpoint.saved','sha256:63b8e3134451ef89b079c27af1fbb00a70a58d0dc83763988f3b5a7d77ecb0db','{"name": "prices", "number": "1.0.0", "type": "model_checkpoint"}','ada',1795639439310729);
INSERT INTO "event" VALUES(36,0,'jeyn.checkpoint.blessed','sha256:3bb58131f1d526642a9df944a852c3361f98389d6caacd18524efd60af002050','{"alias": "blessed", "owner": "checkpoint:guesser"}','ada',1795639439319294);
INSERT INTO "event" VALUES(37,0,'jeyn.artefact.marked','sha256:eb101edf6c542ac0ac117202b4e55b1b77a0d2ba505d7f8afd2ef5688fbb3632','{"kind": "tag", "present": true, "value": "gold"}','ada',1795639439326347);
CREATE TABLE lease (
	digest VARCHAR(64) NOT NULL, 
	holder VARCHAR(80) NOT NULL, 
	expires INTEGER NOT NULL, 
	PRIMARY KEY (digest, holder)
);
CREATE TABLE log_chunk (
	"key" INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(attempt) REFERENCES attempt ("key")
);
CREATE TABLE mark (
	"key" INTEGER NOT NULL, 
	artefact INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	value TEXT NOT NULL, 
	present BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	actor VARCHAR(200) NOT NULL, 
	at INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(artefact) REFERENCES artefact ("key")
);
INSERT INTO "mark" VALUES(1,15,'contract','{"description": "Guesses", "input_catalog": {"features": {"at": {"checks": [{"unique": {}}], "dtype": "int64", "shape": [-1]}, "x": {"dtype": "float64", "nullable": true, "shape": [-1]}}}, "output_catalog": {"features": {"guess": {"dtype": "float64", "shape": [-1]}}}}',1,'','ada',1795639435850577,15);
INSERT INTO "mark" VALUES(2,22,'contract','{"description": "", "input_catalog": {"features": {"rooms": {"dtype": "int64", "shape": [-1]}, "size": {"checks": [{"between": {"high": null, "low": 0}}], "dtype": "float64", "shape": [-1]}}}, "output_catalog": {"features": {"price": {"description": "in thousands", "dtype": "float64", "shape": [-1]}}}}',1,'','ada',1795639439147318,18);
INSERT INTO "mark" VALUES(3,8,'tag','gold',1,'','ada',1795639439326347,37);
CREATE TABLE metric (
	subject INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	source INTEGER NOT NULL, 
	value FLOAT, 
	PRIMARY KEY (subject, name, source), 
	FOREIGN KEY(subject) REFERENCES artefact ("key"), 
	FOREIGN KEY(source) REFERENCES artefact ("key")
)
 WITHOUT ROWID

;
INSERT INTO "metric" VALUES(17,'mae',36,0.25);
INSERT INTO "metric" VALUES(17,'mae',17,1.0);
INSERT INTO "metric" VALUES(17,'mae',37,1.15292150460684697597e+18);
INSERT INTO "metric" VALUES(17,'share',36,1.0);
CREATE TABLE operation (
	"key" INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	name VARCHAR(300) NOT NULL, 
	committed_by INTEGER, item INTEGER DEFAULT '-1' NOT NULL, position INTEGER DEFAULT '0' NOT NULL, function VARCHAR(500), state VARCHAR(20), cache_key VARCHAR(64), origin INTEGER, started INTEGER, ended INTEGER, error TEXT, effects TEXT, 
	PRIMARY KEY ("key"), 
	CONSTRAINT operation_name UNIQUE (run, name), 
	FOREIGN KEY(run) REFERENCES run ("key")
);
CREATE TABLE operation_artefact (
	operation INTEGER NOT NULL, 
	direction VARCHAR(3) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	position INTEGER NOT NULL, 
	artefact INTEGER NOT NULL, 
	PRIMARY KEY (operation, direction, name, position), 
	FOREIGN KEY(operation) REFERENCES operation ("key"), 
	FOREIGN KEY(artefact) REFERENCES artefact ("key")
);
CREATE TABLE relay_cursor (
	name VARCHAR(80) NOT NULL, 
	seq INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE run (
	"key" INTEGER NOT NULL, 
	id VARCHAR(80) NOT NULL, 
	pipeline VARCHAR(200) NOT NULL, 
	code INTEGER, 
	actor VARCHAR(200) NOT NULL, 
	at INTEGER NOT NULL, "plan" TEXT, parameters TEXT, pins TEXT, environment TEXT, engine VARCHAR(40), state VARCHAR(20), host VARCHAR(200), pid INTEGER, heartbeat INTEGER, started INTEGER, ended INTEGER, error TEXT, cancel_requested BOOLEAN DEFAULT 0 NOT NULL, resumed_from INTEGER, 
	PRIMARY KEY ("key"), 
	CONSTRAINT run_id UNIQUE (id), 
	FOREIGN KEY(code) REFERENCES artefact ("key")
);
CREATE TABLE small_payload (
	digest VARCHAR(64) NOT NULL, 
	data BLOB NOT NULL, 
	at INTEGER NOT NULL, 
	PRIMARY KEY (digest)
)
 WITHOUT ROWID

;
INSERT INTO "small_payload" VALUES('07d7588665a591231b0cb173c6d96f75add42f087fda32bbc1533fb5f6ddbc82',X'504B030414000000000000002100AD00C9DC02090000020900000B000000736368656D612E6A736F6E7B225F5F636C6173735F5F223A224C696E65617252656772657373696F6E222C225F5F6D6F64756C655F5F223A22736B6C6561726E2E6C696E6561725F6D6F64656C2E5F62617365222C225F5F6C6F616465725F5F223A224F626A6563744E6F6465222C22636F6E74656E74223A7B225F5F636C6173735F5F223A2264696374222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22446963744E6F6465222C22636F6E74656E74223A7B226669745F696E74657263657074223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A2274727565222C2269735F6A736F6E223A747275657D2C22636F70795F58223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A2274727565222C2269735F6A736F6E223A747275657D2C22746F6C223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A2231652D3036222C2269735F6A736F6E223A747275657D2C226E5F6A6F6273223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A226E756C6C222C2269735F6A736F6E223A747275657D2C22706F736974697665223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A2266616C7365222C2269735F6A736F6E223A747275657D2C226E5F66656174757265735F696E5F223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A2231222C2269735F6A736F6E223A747275657D2C22636F65665F223A7B225F5F636C6173735F5F223A226E646172726179222C225F5F6D6F64756C655F5F223A226E756D7079222C225F5F6C6F616465725F5F223A224E6441727261794E6F6465222C2274797065223A226E756D7079222C2266696C65223A22302E6E7079227D2C2272616E6B5F223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A2231222C2269735F6A736F6E223A747275657D2C2273696E67756C61725F223A7B225F5F636C6173735F5F223A226E646172726179222C225F5F6D6F64756C655F5F223A226E756D7079222C225F5F6C6F616465725F5F223A224E6441727261794E6F6465222C2274797065223A226E756D7079222C2266696C65223A22312E6E7079227D2C22696E746572636570745F223A7B225F5F636C6173735F5F223A22666C6F61743634222C225F5F6D6F64756C655F5F223A226E756D7079222C225F5F6C6F616465725F5F223A224E6441727261794E6F6465222C2274797065223A226E756D7079222C2266696C65223A22322E6E7079227D2C225F736B6C6561726E5F76657273696F6E223A7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224A736F6E4E6F6465222C22636F6E74656E74223A225C22312E392E315C22222C2269735F6A736F6E223A747275657D7D2C226B65795F7479706573223A7B225F5F636C6173735F5F223A226C697374222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A224C6973744E6F6465222C22636F6E74656E74223A5B7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D2C7B225F5F636C6173735F5F223A22737472222C225F5F6D6F64756C655F5F223A226275696C74696E73222C225F5F6C6F616465725F5F223A22547970654E6F6465227D5D7D7D2C2270726F746F636F6C223A322C225F736B6F70735F76657273696F6E223A22302E31362E30227D504B03041400000000000000210060D9A966880000008800000005000000302E6E7079934E554D5059010076007B276465736372273A20273C6638272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028312C292C207D2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200AFEFFFFFFFFFFFF3F504B0304140000000000000021002C3765E8880000008800000005000000312E6E7079934E554D5059010076007B276465736372273A20273C6638272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028312C292C207D2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200ACD3B7F669EA0E63F504B0304140000000000000021009EE2204A880000008800000005000000322E6E7079934E554D5059010076007B276465736372273A20273C6638272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028292C207D20202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200A000000000000B03C504B0102140314000000000000002100AD00C9DC02090000020900000B0000000000000000000000A40100000000736368656D612E6A736F6E504B010214031400000000000000210060D9A9668800000088000000050000000000000000000000A4012B090000302E6E7079504B01021403140000000000000021002C3765E88800000088000000050000000000000000000000A401D6090000312E6E7079504B01021403140000000000000021009EE2204A8800000088000000050000000000000000000000A401810A0000322E6E7079504B05060000000004000400D20000002C0B00000000',0);
INSERT INTO "small_payload" VALUES('123c4249ec5a086a431d255865c3f8e4a83c9a0f14ea91c61b8d8848f1ee5606',X'5B312C322E352C7B2261223A6E756C6C7D5D',0);
INSERT INTO "small_payload" VALUES('13c3cd0866e72d1598ffe111222ab361cfdb9f90686c6b33dec4297fd5449290',X'934E554D5059010076007B276465736372273A20273C6934272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028322C2033292C207D202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200A000000000100000002000000030000000400000005000000',0);
INSERT INTO "small_payload" VALUES('15261bad290bebd4aac50f98ff7c0be7645dc37fa2185825bbbe1a9ca6baff0a',X'504152311504151015224C1502150012000028B52FFD200841000001000000000000001500151215242C15021510150615061C180801000000000000001808010000000000000016002808010000000000000018080100000000000000111100000028B52FFD20094900000200000002010102001504151015224C1502150012000028B52FFD2008410000000000000000E03F1500151215242C15021510150615061C1808000000000000E03F1808000000000000E03F16002808000000000000E03F1808000000000000E03F111100000028B52FFD20094900000200000002010102001504193C35001806736368656D61150400150425021802617400150A2502180178001602191C192C26001C150419350006101918026174150C160216BC0116E001264626081C180801000000000000001808010000000000000016002808010000000000000018080100000000000000111100192C15041500150200150015101502003C29061926000200000026001C150A193500061019180178150C160216BC0116E00126A60226E8011C1808000000000000E03F1808000000000000E03F16002808000000000000E03F1808000000000000E03F111100192C15041500150200150015101502003C29061926000200000016F8021602260816C00300191C180C4152524F573A736368656D611880022F2F2F2F2F37674141414151414141414141414B414134414267414641416741436741414141414242414151414141414141414B414177414141414541416741436741414141774141414145414141414141414141414941414142454141414142414141414E542F2F2F384141414544454141414142674141414145414141414141414141414541414142344141594143414147414159414141414141414941454141554141674142674148414177414141415141424141414141414141454345414141414277414141414541414141414141414141494141414268644141414341414D41416741427741494141414141414141415541414141414141414141001820706172717565742D6370702D6172726F772076657273696F6E2032362E302E31192C1C00001C0000003D02000050415231',0);
INSERT INTO "small_payload" VALUES('1fa5494942fc6dcbf92e24d584eb9432b773b144b3028f04a6ba297eefd6a3d8',X'7B2224223A227475706C65222C2276223A5B312C2274776F225D7D',0);
INSERT INTO "small_payload" VALUES('30d98be1de050c536629427a0086d22cd28a3f2e2566508fed9cdb20e6ac5278',X'7B2277656967687473223A5B312C325D7D',0);
INSERT INTO "small_payload" VALUES('33e6d73fee82904c8d7afb78de1154d1e8dc2a0edb08120e63df5b9385c2d9cc',X'C3A4',0);
INSERT INTO "small_payload" VALUES('63c5b34d6974925a9b87f85b118d59db44b8ee8f6e9e488234c401c1d8cee09a',X'934E554D5059010076007B276465736372273A20273C6638272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028312C292C207D2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200A0000000000000840',0);
INSERT INTO "small_payload" VALUES('67687360f2bbd8cec04e1bc5dc903ab7e1c27c82b9a98a11776436efe03eb0e4',X'504152311504152015324C1504150012000028B52FFD2010810000010000000000000002000000000000001500151215242C15041510150615061C180802000000000000001808010000000000000016002808020000000000000018080100000000000000111100000028B52FFD20094900000200000004010103021504151015224C1502150012000028B52FFD2008410000000000000000E03F1500151215242C15041510150615061C1808000000000000E03F1808000000000000E03F16022808000000000000E03F1808000000000000E03F111100000028B52FFD20094900000200000003010102001504193C35001806736368656D61150400150425021802617400150A2502180178001604191C192C26001C150419350006101918026174150C160416CC0116F001265626081C180802000000000000001808010000000000000016002808020000000000000018080100000000000000111100192C15041500150200150015101502003C29061926000400000026001C150A193500061019180178150C160416BC0116E00126B60226F8011C1808000000000000E03F1808000000000000E03F16022808000000000000E03F1808000000000000E03F111100192C15041500150200150015101502003C2906192602020000001688031604260816D00300191C180C4152524F573A736368656D611880022F2F2F2F2F37674141414151414141414141414B414134414267414641416741436741414141414242414151414141414141414B414177414141414541416741436741414141774141414145414141414141414141414941414142454141414142414141414E542F2F2F384141414544454141414142674141414145414141414141414141414541414142344141594143414147414159414141414141414941454141554141674142674148414177414141415141424141414141414141454345414141414277414141414541414141414141414141494141414268644141414341414D41416741427741494141414141414141415541414141414141414141001820706172717565742D6370702D6172726F772076657273696F6E2032362E302E31192C1C00001C0000003D02000050415231',0);
INSERT INTO "small_payload" VALUES('74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b',X'6E756C6C',0);
INSERT INTO "small_payload" VALUES('8389aa0536b3f51cc9577c0c6bd1992be2b5edd23d56fbc4c04844029b42b205',X'934E554D5059010076007B276465736372273A20273C6638272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028332C292C207D2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200A0000000000000000000000000000F03F0000000000000040',0);
INSERT INTO "small_payload" VALUES('8a17a10c5da7e43e1f13e119995385da00a1ecd1ceeab024569be2260ea01bd6',X'504152311504151015224C1502150012000028B52FFD200841000002000000000000001500151215242C15021510150615061C180802000000000000001808020000000000000016002808020000000000000018080200000000000000111100000028B52FFD20094900000200000002010102001504150015124C1500150012000028B52FFD20000100001500150E15202C15021510150615061C360200000028B52FFD2007390000020000000200001504193C35001806736368656D61150400150425021802617400150A2502180178001602191C192C26001C150419350006101918026174150C160216BC0116E001264626081C180802000000000000001808020000000000000016002808020000000000000018080200000000000000111100192C15041500150200150015101502003C29061926000200000026001C150A193500061019180178150C16021654167826960226E8011C360200192C15041500150200150015101502003C2906192602000000001690021602260816D80200191C180C4152524F573A736368656D611880022F2F2F2F2F37674141414151414141414141414B414134414267414641416741436741414141414242414151414141414141414B414177414141414541416741436741414141774141414145414141414141414141414941414142454141414142414141414E542F2F2F384141414544454141414142674141414145414141414141414141414541414142344141594143414147414159414141414141414941454141554141674142674148414177414141415141424141414141414141454345414141414277414141414541414141414141414141494141414268644141414341414D41416741427741494141414141414141415541414141414141414141001820706172717565742D6370702D6172726F772076657273696F6E2032362E302E31192C1C00001C0000001102000050415231',0);
INSERT INTO "small_payload" VALUES('97543ef511946fb0ed9a767d663daec2de16bd78efcb58cc58de37e31c96c0e6',X'934E554D5059010076007B276465736372273A20273C6638272C2027666F727472616E5F6F72646572273A2046616C73652C20277368617065273A2028322C292C207D2020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020202020200A000000000000F03F0000000000000040',0);
INSERT INTO "small_payload" VALUES('ad25bc0f144b930b9468833a0c80eaf41212e76ec10e170d7a7e16b6acff4078',X'6E6F74207265616C6C792061207061636B616765',1795639439273980);
INSERT INTO "small_payload" VALUES('add717fc6de42dbb588d80385843968a7e7d5bda6d276fbe5304e2353a42df9b',X'7B2224223A22666C6F6174222C2276223A226E616E227D',0);
INSERT INTO "small_payload" VALUES('aed610a3fc0bd3e5aaa7cde39e87ccedd4c717039644acfa07aa1830b1520f55',X'504152311504152015324C1504150012000028B52FFD2010810000010000000000000002000000000000001500151215242C15041510150615061C180802000000000000001808010000000000000016002808020000000000000018080100000000000000111100000028B52FFD20094900000200000004010103021504150A151C4C1502150012000028B52FFD200529000001000000781500151215242C15041510150615061C3602280178180178111100000028B52FFD20094900000200000003010102001504193C35001806736368656D611504001504250218016200150C250218016125004C1C0000001604191C192C26001C1504193500061019180162150C160416CC0116F001265626081C180802000000000000001808010000000000000016002808020000000000000018080100000000000000111100192C15041500150200150015101502003C29061926000400000026001C150C193500061019180161150C1604167216960126B00226F8011C3602280178180178111100192C15041500150200150015101502003C160219061926020200000016BE021604260816860300191C180C4152524F573A736368656D6118EC012F2F2F2F2F36674141414151414141414141414B41417741426741464141674143674141414141424241414D41414141434141494141414142414149414141414241414141414941414142414141414142414141414E6A2F2F2F384141414546454141414142674141414145414141414141414141414541414142684141414142414145414151414141415141425141434141474141634144414141414241414541414141414141415149514141414148414141414151414141414141414141415141414147494141414149414177414341414841416741414141414141414251414141414141414141413D001820706172717565742D6370702D6172726F772076657273696F6E2032362E302E31192C1C00001C0000000C02000050415231',0);
INSERT INTO "small_payload" VALUES('b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2',X'0001',0);
INSERT INTO "small_payload" VALUES('b59f63e4cf27c66cf0520fb7dc2390e77181eca7ffd58f03c0bf21063b2f1197',X'61742C780A312C302E350A322C312E350A332C0A',0);
INSERT INTO "small_payload" VALUES('b5bea41b6c623f7c09f1bf24dcae58ebab3c0cdd90ad966bc43a45b44867e12b',X'74727565',0);
INSERT INTO "small_payload" VALUES('c15c2807e41fa5c1c80cc07b02fdfd3074184a4b29dd3d4fee71d44efbbffc10',X'7B2224223A22696E74222C2276223A223078343030303030303030303030303030303030227D',0);
INSERT INTO "small_payload" VALUES('f6cd914e981d5432784378d8096fb8424273df1e393f6c7cfd558f21d309e802',X'7B227072696365223A2031302E352C2022726F6F6D73223A20322C202273697A65223A2035302E307D0A7B227072696365223A2032302E352C2022726F6F6D73223A20332C202273697A65223A2037352E307D0A',0);
CREATE INDEX artefact_type_name ON artefact (type, name);
CREATE INDEX edge_down ON edge (parent, child, type);
CREATE INDEX claim_order ON claim (owner, major, minor, patch);
CREATE INDEX claim_artefact ON claim (artefact);
CREATE INDEX alias_move_history ON alias_move (owner, alias, "key");
CREATE INDEX alias_move_artefact ON alias_move (artefact);
CREATE INDEX mark_history ON mark (artefact, kind, "key");
CREATE INDEX mark_kind ON mark (kind, value);
CREATE INDEX artefact_payload_digest ON artefact_payload (digest);
CREATE INDEX batch_member_batch ON batch_member (batch);
CREATE INDEX metric_value ON metric (name, value);
CREATE TRIGGER artefact_no_update BEFORE UPDATE ON artefact BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (artefact)'); END;
CREATE TRIGGER artefact_no_delete BEFORE DELETE ON artefact BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (artefact)'); END;
CREATE TRIGGER artefact_no_insert BEFORE INSERT ON artefact WHEN EXISTS (SELECT 1 FROM artefact WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM artefact WHERE key = NEW.key) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (artefact)'); END;
CREATE TRIGGER edge_no_update BEFORE UPDATE ON edge BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (edge)'); END;
CREATE TRIGGER edge_no_delete BEFORE DELETE ON edge BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (edge)'); END;
CREATE TRIGGER edge_no_insert BEFORE INSERT ON edge WHEN EXISTS (SELECT 1 FROM edge WHERE child = NEW.child AND parent = NEW.parent AND type = NEW.type) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (edge)'); END;
CREATE TRIGGER claim_no_update BEFORE UPDATE ON claim BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (claim)'); END;
CREATE TRIGGER claim_no_delete BEFORE DELETE ON claim BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (claim)'); END;
CREATE TRIGGER claim_no_insert BEFORE INSERT ON claim WHEN EXISTS (SELECT 1 FROM claim WHERE owner = NEW.owner AND number = NEW.number) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (claim)'); END;
CREATE TRIGGER alias_move_no_update BEFORE UPDATE ON alias_move BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (alias_move)'); END;
CREATE TRIGGER alias_move_no_delete BEFORE DELETE ON alias_move BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (alias_move)'); END;
CREATE TRIGGER alias_move_no_insert BEFORE INSERT ON alias_move WHEN EXISTS (SELECT 1 FROM alias_move WHERE key = NEW.key) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (alias_move)'); END;
CREATE TRIGGER mark_no_update BEFORE UPDATE ON mark BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (mark)'); END;
CREATE TRIGGER mark_no_delete BEFORE DELETE ON mark BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (mark)'); END;
CREATE TRIGGER mark_no_insert BEFORE INSERT ON mark WHEN EXISTS (SELECT 1 FROM mark WHERE key = NEW.key) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (mark)'); END;
CREATE TRIGGER artefact_payload_no_update BEFORE UPDATE ON artefact_payload BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (artefact_payload)'); END;
CREATE TRIGGER artefact_payload_no_delete BEFORE DELETE ON artefact_payload BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (artefact_payload)'); END;
CREATE TRIGGER artefact_payload_no_insert BEFORE INSERT ON artefact_payload WHEN EXISTS (SELECT 1 FROM artefact_payload WHERE artefact = NEW.artefact AND name = NEW.name) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (artefact_payload)'); END;
CREATE TRIGGER batch_member_no_update BEFORE UPDATE ON batch_member BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (batch_member)'); END;
CREATE TRIGGER batch_member_no_delete BEFORE DELETE ON batch_member BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (batch_member)'); END;
CREATE TRIGGER batch_member_no_insert BEFORE INSERT ON batch_member WHEN EXISTS (SELECT 1 FROM batch_member WHERE formula = NEW.formula AND member = NEW.member) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (batch_member)'); END;
CREATE TRIGGER metric_no_update BEFORE UPDATE ON metric BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (metric)'); END;
CREATE TRIGGER metric_no_delete BEFORE DELETE ON metric BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (metric)'); END;
CREATE TRIGGER metric_no_insert BEFORE INSERT ON metric WHEN EXISTS (SELECT 1 FROM metric WHERE subject = NEW.subject AND name = NEW.name AND source = NEW.source) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (metric)'); END;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (event)'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (event)'); END;
CREATE TRIGGER event_no_insert BEFORE INSERT ON event WHEN EXISTS (SELECT 1 FROM event WHERE seq = NEW.seq AND position = NEW.position) BEGIN SELECT RAISE(ABORT, 'jeyn: saved rows are immutable (event)'); END;
CREATE INDEX operation_artefact_artefact ON operation_artefact (artefact);
CREATE INDEX operation_function ON operation (function);
CREATE INDEX log_chunk_attempt ON log_chunk (attempt);
CREATE INDEX cache_entry_cache_key ON cache_entry (cache_key);
COMMIT;
